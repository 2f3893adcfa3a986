import type { ReadableBlock } from './catalog.ts';

/** The blocks that one job has stored of one life of a stream, by first sequence. */
export type Chain = { prefix: string; stream: string; streamCreated: string; job: string; blocks: ReadableBlock[] };

/** What lies between a block and those before it. Sequences, both ends included. */
export type Joint =
  | { is: 'joined' }
  /** `certain`: the job had messages there, and their block is missing. Else the block does not tell: the stream may have had none. */
  | { is: 'gap'; from: number; to: number; certain: boolean }
  | { is: 'overlap'; from: number; to: number };

/** In order of prefix, stream, life and job. */
export function chainsOf(blocks: readonly ReadableBlock[]): Chain[] {
  const chains = new Map<string, Chain>();
  for (const block of blocks) {
    const { stream, streamCreated, job } = block.header;
    const { prefix } = block.name;
    const key = JSON.stringify([prefix, stream, streamCreated, job]);
    const chain = chains.get(key);
    if (chain === undefined) chains.set(key, { prefix, stream, streamCreated, job, blocks: [block] });
    else chain.blocks.push(block);
  }
  for (const { blocks } of chains.values()) {
    blocks.sort((a, b) => a.header.firstSequence - b.header.firstSequence || b.header.lastSequence - a.header.lastSequence);
  }
  return [...chains].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, chain]) => chain);
}

/** `coveredTo`: the last sequence of the blocks before. */
export function jointOf(coveredTo: number, { header: { after, firstSequence, lastSequence } }: ReadableBlock): Joint {
  if (firstSequence <= coveredTo) return { is: 'overlap', from: firstSequence, to: Math.min(lastSequence, coveredTo) };
  const certain = after !== undefined;
  const to = after ?? firstSequence - 1;
  return to > coveredTo ? { is: 'gap', from: coveredTo + 1, to, certain } : { is: 'joined' };
}
