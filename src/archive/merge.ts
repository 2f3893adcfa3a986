import type { ObjectStore } from '../core/strategy.ts';
import { BlockCursor } from './block-cursor.ts';
import type { ReadableBlock } from './catalog.ts';
import type { ArchiveRun } from './part.ts';
import type { MessageFilter } from './selection.ts';
import { BlockGone, type OnDamage } from './stored-parts.ts';

export type MergeOptions = {
  filter: MessageFilter;
  onDamage: OnDamage;
  /** Only messages above this sequence. */
  after?: number;
  signal?: AbortSignal | undefined;
};

/** A batch ends here, or with a part. */
const batchMessagesMax = 8_192;
const batchBytesMax = 1024 * 1024;
/** Blocks that are read ahead of the one in use, as long as they hold little: of each, some parts are opened. */
const blocksAhead = 4;
const aheadBytesMax = 20 * 1024 * 1024;

/** The wanted messages of blocks of one life of a stream, each sequence once, in order. Throws BlockGone. */
export async function* mergeBlocks(
  store: ObjectStore,
  blocks: readonly ReadableBlock[],
  { filter, onDamage, after = 0, signal }: MergeOptions,
): AsyncGenerator<ArchiveRun[]> {
  const pending = blocks
    .toSorted((a, b) => a.header.firstSequence - b.header.firstSequence)
    .map((block) => new BlockCursor(store, block, filter, onDamage, signal));
  const active: BlockCursor[] = [];
  let last = after;
  let batch: ArchiveRun[] = [];
  let messages = 0;
  let bytes = 0;
  try {
    for (;;) {
      const next = await advance(pending, active, last);
      if (next === undefined) break;
      const { cursor, limit } = next;
      const run = cursor.take(limit, batchMessagesMax - messages, batchBytesMax - bytes);
      last = run.part.sequence(run.rows.at(-1)!);
      batch.push(run);
      messages += run.rows.length;
      bytes += run.bytes;
      if (bytes < batchBytesMax && messages < batchMessagesMax && cursor.hasMore) continue;
      yield batch;
      batch = [];
      messages = bytes = 0;
    }
  } catch (error) {
    // What was read before that is good, and is not to be read again.
    if (error instanceof BlockGone && batch.length > 0) yield batch;
    throw error;
  }
  if (batch.length > 0) yield batch;
}

/** The cursor with the lowest sequence above `last`, and the lowest of the others: so far it may go alone. */
async function advance(
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
    const coming = pending[0]?.firstSequence ?? Number.POSITIVE_INFINITY;
    if (first !== undefined && first.sequence < coming) return { cursor: first, limit: Math.min(limit, coming) };
    const begun = pending.shift();
    if (begun === undefined) return undefined;
    active.push(begun);
    startAhead(pending);
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
