import { GatewayError } from '../core/errors.ts';
import type { ObjectStore } from '../core/strategy.ts';
import { BlockCursor } from './block-cursor.ts';
import type { BlockHeader } from './block-header.ts';
import { describeBlocks, findBlocks, type FoundBlock } from './catalog.ts';
import { ArchiveDamaged } from './damage.ts';
import type { ArchiveMessage } from './message.ts';
import { MessageFilter, type Selection } from './selection.ts';
import { BlockGone, type OnDamage } from './stored-parts.ts';

/** A place in an archive: everything up to this message is done. */
export type ArchivePosition = { streamCreated: string; sequence: number };

/** Messages of one life of the stream, in order. Their bytes are views that live as long as they are held. */
export type ArchiveBatch = { streamCreated: string; messages: ArchiveMessage[] };

export type ReadOptions = {
  /** Goes on behind this position. */
  after?: ArchivePosition | undefined;
  /** Told of what is damaged and passed over. Default: damage ends the reading. */
  onDamage?: OnDamage | undefined;
  signal?: AbortSignal | undefined;
};

type Block = FoundBlock & { header: BlockHeader };

/** A batch ends here, or with a part. */
const batchMessagesMax = 8_192;
const batchBytesMax = 1024 * 1024;
/** Blocks that are read ahead of the one in use, as long as they are small. */
const blocksAhead = 4;
const aheadBytesMax = 8 * 1024 * 1024;
/** A listing may be older than a removal; not this often. */
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
  let after = options.after;
  for (let gones = 0; ;) {
    try {
      for await (const batch of new ArchiveReader(store, selection, { ...options, after }).batches()) {
        after = { streamCreated: batch.streamCreated, sequence: batch.messages.at(-1)!.sequence };
        yield batch;
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

class ArchiveReader {
  readonly #store: ObjectStore;
  readonly #selection: Selection;
  readonly #filter: MessageFilter;
  readonly #options: ReadOptions;
  readonly #onDamage: OnDamage;

  constructor(store: ObjectStore, selection: Selection, options: ReadOptions) {
    this.#store = store;
    this.#selection = selection;
    this.#filter = new MessageFilter(selection);
    this.#options = options;
    this.#onDamage = (error, lost) => {
      if (options.onDamage === undefined) throw error;
      options.onDamage(error, lost);
    };
  }

  async *batches(): AsyncGenerator<ArchiveBatch> {
    const { after } = this.#options;
    for (const [streamCreated, blocks] of await this.#lives()) {
      const last = after?.streamCreated === streamCreated ? after.sequence : 0;
      for await (const messages of this.#merge(blocks, last)) yield { streamCreated, messages };
    }
  }

  /** The blocks to be read, by life of the stream, in order. */
  async #lives(): Promise<[string, Block[]][]> {
    const { prefix = '', stream } = this.#selection;
    const { after, signal } = this.#options;
    const filter = this.#filter;
    const named = async function* (blocks: AsyncIterable<FoundBlock>) {
      for await (const block of blocks) if (filter.mayHoldByName(block.name)) yield block;
    };
    const lives = new Map<string, Block[]>();
    const found = findBlocks(this.#store, { prefix, stream }, signal);
    for await (const block of describeBlocks(this.#store, named(found), signal)) {
      if ('error' in block) {
        if (!(block.error instanceof ArchiveDamaged)) throw block.error;
        this.#onDamage(block.error, block.name);
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
    for (const blocks of lives.values()) blocks.sort((a, b) => a.header.firstSequence - b.header.firstSequence);
    return [...lives].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Takes from the block that is behind, as far as no other has anything before that. */
  async *#merge(blocks: readonly Block[], after: number): AsyncGenerator<ArchiveMessage[]> {
    const pending = blocks.map(
      (block) => new BlockCursor(this.#store, block, this.#filter, this.#onDamage, this.#options.signal),
    );
    const active: BlockCursor[] = [];
    let last = after;
    let batch: ArchiveMessage[] = [];
    let bytes = 0;
    try {
      for (;;) {
        const next = await this.#advance(pending, active, last);
        if (next === undefined) break;
        const { cursor, limit } = next;
        do {
          const message = cursor.take();
          last = message.sequence;
          batch.push(message);
          bytes += message.payload.length + message.headers.length;
        } while (cursor.hasMore && cursor.sequence < limit && bytes < batchBytesMax && batch.length < batchMessagesMax);
        if (bytes < batchBytesMax && batch.length < batchMessagesMax && cursor.hasMore) continue;
        yield batch;
        batch = [];
        bytes = 0;
      }
    } catch (error) {
      // What is there is not to be read again.
      if (error instanceof BlockGone && batch.length > 0) yield batch;
      throw error;
    }
    if (batch.length > 0) yield batch;
  }

  /** The cursor with the lowest sequence above `last`, and the lowest of the others: so far it may go alone. */
  async #advance(
    pending: BlockCursor[],
    active: BlockCursor[],
    last: number,
  ): Promise<{ cursor: BlockCursor; limit: number } | undefined> {
    for (;;) {
      let first: BlockCursor | undefined;
      let limit = Number.POSITIVE_INFINITY;
      for (let at = active.length - 1; at >= 0; at--) {
        const cursor = active[at]!;
        if (!(await cursor.skipThrough(last))) active.splice(at, 1);
        else if (first === undefined || cursor.sequence < first.sequence) {
          limit = first?.sequence ?? limit;
          first = cursor;
        } else limit = Math.min(limit, cursor.sequence);
      }
      const coming = pending[0];
      if (coming === undefined || (first !== undefined && first.sequence < coming.block.firstSequence))
        return first === undefined ? undefined : { cursor: first, limit: Math.min(limit, coming?.block.firstSequence ?? limit) };
      active.push(pending.shift()!);
      startAhead(pending);
    }
  }
}

/** Small blocks are worth reading before their turn. */
function startAhead(pending: readonly BlockCursor[]): void {
  let bytes = 0;
  for (const cursor of pending.slice(0, blocksAhead)) {
    bytes += cursor.bytes;
    if (bytes > aheadBytesMax) return;
    cursor.start();
  }
}
