import type { ObjectStore } from '../core/strategy.ts';
import { describeBlocks, findBlocks, type BlockPlace, type ReadableBlock } from './catalog.ts';

export type PruneOptions = BlockPlace & {
  /** In ns since 1970. */
  before: bigint;
  /** Tells what would be removed, and removes nothing. */
  dryRun?: boolean;
  signal?: AbortSignal | undefined;
};

const removedAtOnce = 500;

/** Removes the blocks all of whose messages are older, and gives them back. What cannot be read stays. */
export async function* pruneArchive(store: ObjectStore, options: PruneOptions): AsyncGenerator<ReadableBlock> {
  const { before, dryRun = false, signal } = options;
  let old: ReadableBlock[] = [];
  const flush = async function* (): AsyncGenerator<ReadableBlock> {
    if (!dryRun)
      await store.remove(
        old.map(({ key }) => key),
        signal,
      );
    yield* old;
    old = [];
  };
  for await (const block of describeBlocks(store, findBlocks(store, options, signal), signal)) {
    if (!('header' in block) || block.header.lastTime >= before) continue;
    old.push(block);
    if (old.length >= removedAtOnce) yield* flush();
  }
  yield* flush();
}
