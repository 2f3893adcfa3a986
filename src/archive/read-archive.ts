import { GatewayError } from '../core/errors.ts';
import type { ObjectStore } from '../core/strategy.ts';
import { describeBlocks, findBlocks, type BlockPlace, type FoundBlock, type ReadableBlock } from './catalog.ts';
import { asDamage } from './damage.ts';
import { mergeBlocks } from './merge.ts';
import type { ArchiveMessage } from './message.ts';
import type { ArchiveRun } from './part.ts';
import { MessageFilter, type Selection } from './selection.ts';
import { BlockGone, type OnDamage } from './stored-parts.ts';

/** A place in an archive: everything up to this message is done. */
export type ArchivePosition = { streamCreated: string; sequence: number };

/** Messages of one life of the stream, in order. Their bytes are views that live as long as they are held. */
export type ArchiveBatch = { streamCreated: string; messages: ArchiveMessage[] };
/** The same where they lie. */
export type ArchiveRuns = { streamCreated: string; runs: readonly ArchiveRun[] };

export type ReadOptions = {
  /** Goes on behind this position. */
  after?: ArchivePosition | undefined;
  /** Told of what is damaged and passed over. Default: damage ends the reading. */
  onDamage?: OnDamage | undefined;
  signal?: AbortSignal | undefined;
};

/** A listing may be older than a removal; not so often in a row. */
const gonesMax = 5;

/**
 * Every wanted message of a stream's archive once, in order of sequence within each life of the stream, the oldest life first. Blocks
 * may overlap: several jobs, blocks that were written twice, a compaction at work. Throws ARCHIVE_DAMAGED, ARCHIVE_NEWER, and what
 * the store throws.
 */
export async function* readArchive(
  store: ObjectStore,
  selection: Selection,
  options: ReadOptions = {},
): AsyncGenerator<ArchiveBatch> {
  for await (const { streamCreated, runs } of readRuns(store, selection, options))
    yield { streamCreated, messages: runs.flatMap(({ part, rows }) => rows.map((row) => part.message(row))) };
}

/** As `readArchive`, for whoever can do without an object a message. */
export async function* readRuns(
  store: ObjectStore,
  selection: Selection,
  options: ReadOptions = {},
): AsyncGenerator<ArchiveRuns> {
  const filter = new MessageFilter(selection);
  const onDamage: OnDamage = (error, lost) => {
    if (options.onDamage === undefined) throw error;
    options.onDamage(error, lost);
  };
  let { after } = options;
  let gones = 0;
  for (;;) {
    try {
      const lives = await findLives(store, selection, filter, { ...options, after, onDamage });
      for (const [streamCreated, blocks] of lives) {
        const sequence = after?.streamCreated === streamCreated ? after.sequence : 0;
        for await (const runs of mergeBlocks(store, blocks, { filter, onDamage, after: sequence, signal: options.signal })) {
          const { part, rows } = runs.at(-1)!;
          after = { streamCreated, sequence: part.sequence(rows.at(-1)!) };
          gones = 0;
          yield { streamCreated, runs };
        }
      }
      return;
    } catch (error) {
      if (!(error instanceof BlockGone)) throw error;
      // What it held stands in another block now, or was pruned: look again.
      if (++gones > gonesMax) {
        throw new GatewayError('ARCHIVE_UNSTEADY', `${error.key} is listed and cannot be read`, {
          transient: true,
          hint: 'wait until compaction or pruning has ended',
        });
      }
    }
  }
}

/** The blocks to be read, by life of the stream, in order. Throws BlockGone. */
async function findLives(
  store: ObjectStore,
  { prefix = '', stream }: Selection,
  filter: MessageFilter,
  { after, onDamage, signal }: ReadOptions & { onDamage: OnDamage },
): Promise<[string, ReadableBlock[]][]> {
  const lives = new Map<string, ReadableBlock[]>();
  const found = await findSteadily(store, { prefix, stream }, signal);
  const named = found.filter(({ name }) => filter.mayHoldByName(name));
  for await (const block of describeBlocks(store, named, signal)) {
    if ('gone' in block) throw new BlockGone(block.key);
    if ('error' in block) {
      onDamage(asDamage(block.error), block.name);
      continue;
    }
    const { streamCreated, lastSequence } = block.header;
    const isDone =
      after !== undefined &&
      (streamCreated < after.streamCreated || (streamCreated === after.streamCreated && lastSequence <= after.sequence));
    if (isDone || !filter.mayHold(block.header)) continue;
    const life = lives.get(streamCreated);
    if (life === undefined) lives.set(streamCreated, [block]);
    else life.push(block);
  }
  return [...lives].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Keys that a store lists at once at most: so far a listing is of one moment. */
const pageKeys = 1_000;

/**
 * A longer listing is not of one moment: a compaction can write its block behind where the listing is, and remove the old ones before
 * it gets there. Then the new block is in the next listing, before the last of its job; a listing without such newcomers is complete.
 */
async function findSteadily(store: ObjectStore, place: BlockPlace, signal: AbortSignal | undefined): Promise<FoundBlock[]> {
  let blocks = await Array.fromAsync(findBlocks(store, place, signal));
  while (blocks.length >= pageKeys) {
    const known = new Set(blocks.map(({ key }) => key));
    const lastOf = new Map(blocks.map(({ key, name }) => [name.job, key]));
    const again = await Array.fromAsync(findBlocks(store, place, signal));
    if (!again.some(({ key, name }) => !known.has(key) && key < (lastOf.get(name.job) ?? ''))) break;
    blocks = again;
  }
  return blocks;
}
