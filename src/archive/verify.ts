import { workAhead } from '../core/ahead.ts';
import type { GatewayError } from '../core/errors.ts';
import type { ObjectStore } from '../core/strategy.ts';
import { openBlock } from './block-reader.ts';
import { checkName, findBlocks, type BlockPlace, type FoundBlock, type ReadableBlock } from './catalog.ts';
import { chainsOf, jointOf, type Chain, type Joint } from './chains.ts';
import { BlockDamage, damageOf } from './damage.ts';

/** What was found: a block that is whole, or what is wrong. Gaps and overlaps come at the end. */
export type Finding =
  | { is: 'whole'; key: string; bytes: number; messages: number }
  | { is: 'unreadable'; key: string; bytes: number; error: GatewayError }
  /** Before the block `key`. Overlaps do no harm: each sequence is read once. */
  | (Exclude<Joint, { is: 'joined' }> & Omit<Chain, 'blocks'> & { key: string });

/** Bodies in memory at once: one that is checked, and one that is read meanwhile. */
const blocksAtOnce = 2;

/** Reads every block to its last byte. Blocks that go meanwhile are passed over: a compaction at work can look like a gap. */
export async function* verifyArchive(store: ObjectStore, place: BlockPlace, signal?: AbortSignal): AsyncGenerator<Finding> {
  const readable: ReadableBlock[] = [];
  const read = workAhead(findBlocks(store, place, signal), blocksAtOnce, async (block) => ({
    block,
    body: await store.get(block.key, undefined, signal),
  }));
  for await (const { block, body } of read) {
    if (body === undefined) continue;
    let checked = await check(block, body);
    // It may have gone wrong on the way here.
    if ('error' in checked) checked = await check(block, (await store.get(block.key, undefined, signal)) ?? body);
    if ('header' in checked) readable.push(checked);
    const { key, bytes } = block;
    yield 'error' in checked
      ? { is: 'unreadable', key, bytes, error: checked.error }
      : { is: 'whole', key, bytes, messages: checked.header.messages };
  }
  for (const { blocks, ...chain } of chainsOf(readable)) {
    let coveredTo: number | undefined;
    for (const block of blocks) {
      const joint: Joint = coveredTo === undefined ? { is: 'joined' } : jointOf(coveredTo, block);
      coveredTo = Math.max(coveredTo ?? 0, block.header.lastSequence);
      if (joint.is !== 'joined') yield { ...joint, ...chain, key: block.key };
    }
  }
}

async function check(block: FoundBlock, body: Buffer): Promise<ReadableBlock | { error: GatewayError }> {
  try {
    const { header, parts } = await openBlock(block.key, body);
    checkName(header, block.name);
    let messages = 0;
    for await (const part of parts()) messages += part.messages;
    if (messages !== header.messages) throw new BlockDamage(`it holds ${messages} of ${header.messages} messages`);
    return { ...block, header };
  } catch (error) {
    return { error: damageOf(block.key, error) };
  }
}
