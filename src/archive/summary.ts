import type { GatewayError } from '../core/errors.ts';
import type { ObjectStore } from '../core/strategy.ts';
import { describeBlocks, findBlocks, type BlockPlace, type ReadableBlock } from './catalog.ts';
import { chainsOf, type Chain } from './chains.ts';

/** What one job has stored of one life of a stream. What overlaps is counted twice. */
type ChainSummary = Omit<Chain, 'blocks'> & {
  blocks: number;
  messages: number;
  /** Of header blocks and payloads, uncompressed. */
  bytes: number;
  storedBytes: number;
  firstSequence: number;
  lastSequence: number;
  /** In ns since 1970. */
  firstTime: bigint;
  lastTime: bigint;
};

export type ArchiveSummary = {
  chains: ChainSummary[];
  /** Blocks whose header cannot be read. */
  unreadable: { key: string; error: GatewayError }[];
};

/** What an archive holds, from keys and headers: one small read a block. */
export async function summariseArchive(store: ObjectStore, place: BlockPlace, signal?: AbortSignal): Promise<ArchiveSummary> {
  const { blocks, unreadable } = await allBlocks(store, place, signal);
  return { chains: chainsOf(blocks).map(summarise), unreadable };
}

export async function allBlocks(store: ObjectStore, place: BlockPlace, signal: AbortSignal | undefined) {
  const blocks: ReadableBlock[] = [];
  const unreadable: ArchiveSummary['unreadable'] = [];
  for await (const block of describeBlocks(store, findBlocks(store, place, signal), signal)) {
    if ('error' in block) unreadable.push({ key: block.key, error: block.error });
    else if ('header' in block) blocks.push(block);
  }
  return { blocks, unreadable };
}

function summarise({ blocks, ...chain }: Chain): ChainSummary {
  const { firstSequence, lastSequence, firstTime, lastTime } = blocks[0]!.header;
  const summary = {
    ...chain,
    blocks: 0,
    messages: 0,
    bytes: 0,
    storedBytes: 0,
    firstSequence,
    lastSequence,
    firstTime,
    lastTime,
  };
  for (const { header, bytes } of blocks) {
    summary.blocks++;
    summary.messages += header.messages;
    summary.bytes += header.bytes;
    summary.storedBytes += bytes;
    summary.lastSequence = Math.max(summary.lastSequence, header.lastSequence);
    if (header.firstTime < summary.firstTime) summary.firstTime = header.firstTime;
    if (header.lastTime > summary.lastTime) summary.lastTime = header.lastTime;
  }
  return summary;
}
