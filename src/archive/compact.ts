import { GatewayError } from '../core/errors.ts';
import type { ObjectStore } from '../core/strategy.ts';
import { openBlock } from './block-reader.ts';
import { BlockWriter } from './block-writer.ts';
import type { BlockPlace, ReadableBlock } from './catalog.ts';
import { chainsOf, jointOf, type Chain } from './chains.ts';
import { mergeBlocks } from './merge.ts';
import { MessageFilter } from './selection.ts';
import { storeBlock } from './store-block.ts';
import { BlockGone } from './stored-parts.ts';
import { allBlocks } from './summary.ts';

export type CompactOptions = BlockPlace & {
  /** Content of a block, uncompressed, that is large enough. */
  targetBytes: number;
  level?: number | undefined;
  signal?: AbortSignal | undefined;
};

/** `left`: somebody else has removed blocks of the group meanwhile, or one of them cannot be read; nothing of it was removed. */
export type Compaction =
  | { is: 'compacted'; removed: readonly string[]; written: readonly string[]; messages: number }
  | { is: 'left'; keys: readonly string[]; reason: string };

/**
 * Rewrites small neighbouring blocks of a job as large ones, and blocks that overlap as ones that do not. Safe under a crash at any moment: the
 * new ones are written and read back before the old ones are removed, and until then readers see each sequence once. Blocks with a gap
 * between them stay apart, so that the gap can still be seen.
 */
export async function* compactArchive(store: ObjectStore, options: CompactOptions): AsyncGenerator<Compaction> {
  const { blocks } = await allBlocks(store, options, options.signal);
  const chains = chainsOf(blocks.filter(({ name }) => name.format === 'n3b'));
  for (const chain of chains) {
    for (const group of groupsOf(chain, options.targetBytes)) yield await rewriteOrLeave(store, chain, group, options);
  }
}

/** A block that makes up more than this part of its group waits until there are more small ones: nothing is rewritten over and over. */
const partOfGroupMax = 3 / 4;

/** Runs of blocks worth rewriting: small ones side by side, and all that overlap. */
function groupsOf({ blocks }: Chain, targetBytes: number): ReadableBlock[][] {
  const groups: { blocks: ReadableBlock[]; bytes: number; overlaps: boolean }[] = [];
  let coveredTo = 0;
  for (const block of blocks) {
    const joint = jointOf(coveredTo, block).is;
    const group = groups.at(-1);
    const fits = group !== undefined && joint === 'joined' && group.bytes + block.header.bytes <= targetBytes;
    if (group !== undefined && (joint === 'overlap' || fits)) {
      group.blocks.push(block);
      group.bytes += block.header.bytes;
      group.overlaps ||= joint === 'overlap';
    } else groups.push({ blocks: [block], bytes: block.header.bytes, overlaps: false });
    coveredTo = Math.max(coveredTo, block.header.lastSequence);
  }
  const isWorthIt = ({ blocks, bytes, overlaps }: (typeof groups)[number]): boolean =>
    overlaps || blocks.every(({ header }) => header.bytes <= partOfGroupMax * bytes);
  return groups.filter(isWorthIt).map((group) => group.blocks);
}

async function rewriteOrLeave(
  store: ObjectStore,
  chain: Chain,
  group: readonly ReadableBlock[],
  options: CompactOptions,
): Promise<Compaction> {
  const keys = group.map(({ key }) => key);
  try {
    const { written, messages } = await rewrite(store, chain, group, options);
    const removed = keys.filter((key) => !written.includes(key));
    await store.remove(removed, options.signal);
    return { is: 'compacted', removed, written, messages };
  } catch (error) {
    if (error instanceof BlockGone) return { is: 'left', keys, reason: error.message };
    if (error instanceof GatewayError && error.code.startsWith('ARCHIVE_')) return { is: 'left', keys, reason: error.message };
    throw error;
  }
}

async function rewrite(
  store: ObjectStore,
  { prefix, stream, streamCreated, job }: Chain,
  group: readonly ReadableBlock[],
  { targetBytes, level, signal }: CompactOptions,
): Promise<{ written: string[]; messages: number }> {
  const { compression, after } = group[0]!.header;
  const written: string[] = [];
  let messages = 0;
  const begin = (after: number | undefined) =>
    new BlockWriter({ stream, streamCreated, job, compression, after, ...(level === undefined ? {} : { level }) });
  let writer = begin(after);
  const flush = async (): Promise<void> => {
    const sealed = await writer.seal();
    const { key } = await storeBlock(store, prefix, sealed, signal);
    await readBack(store, key, sealed.messages, signal);
    written.push(key);
    messages += sealed.messages;
    writer = begin(sealed.lastSequence);
  };
  const filter = new MessageFilter({ stream });
  for await (const batch of mergeBlocks(store, group, { filter, onDamage: refuse, signal })) {
    for (const { part, rows } of batch) {
      for (const row of rows) {
        const room = writer.add(part.message(row));
        if (room !== undefined) await room;
        if (writer.bytes >= targetBytes) await flush();
      }
    }
  }
  if (writer.messages > 0) await flush();
  return { written, messages };
}

/** A block that is damaged is not to be compacted: what can be read of it would be all that is left. */
function refuse(error: Error): void {
  throw error;
}

async function readBack(store: ObjectStore, key: string, messages: number, signal: AbortSignal | undefined): Promise<void> {
  const body = await store.get(key, undefined, signal);
  if (body === undefined) throw new BlockGone(key);
  const { parts } = await openBlock(key, body);
  let found = 0;
  for await (const part of parts()) found += part.messages;
  if (found !== messages)
    throw new GatewayError('ARCHIVE_UNSTEADY', `${key} holds ${found} of ${messages} messages`, { transient: true });
}
