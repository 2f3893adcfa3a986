import { histogram, type Reader, type ShardCopyAddress } from '../elastic/index.ts';
import { blockWidth, type Range, type Rows } from './rows.ts';

/** What the cluster no longer holds where the write-ahead list has it, and what it holds that the list does not know. */
export type Differences = { missing: number[]; unknown: number[] };

/** Buckets asked for in one query at the coarsest level, and sequence numbers compared one by one in one query. */
const coarseBucketsMax = 2048;
const comparedAtOnceMax = 2 * blockWidth;
const fineWidth = 64;
const blocksAtOnce = 16;

type Comparison = { reader: Reader; copy: ShardCopyAddress; rows: Rows; shardKey: number; upTo: number; signal: AbortSignal };

/**
 * Compares the list with the cluster by counting: histograms over `_seq_no`, finer only where the counts differ, so the cost goes with the
 * number of changes and not with the size of the index. Yields a bounded part of the differences at a time.
 */
export async function* findDifferences(comparison: Comparison): AsyncGenerator<Differences> {
  const blocks = await differingBlocks(comparison);
  for (let at = 0; at < blocks.length; at += blocksAtOnce) {
    const ranges = blocks.slice(at, at + blocksAtOnce).map((block) => ({
      from: block * blockWidth,
      to: Math.min(comparison.upTo, (block + 1) * blockWidth - 1),
    }));
    const differences = await compareRanges(comparison, ranges);
    if (differences.missing.length > 0 || differences.unknown.length > 0) yield differences;
  }
}

/** Numbers of the blocks whose counts differ. */
async function differingBlocks(comparison: Comparison): Promise<number[]> {
  const own = comparison.rows.blockCounts(comparison.shardKey);
  const last = Math.floor(comparison.upTo / blockWidth);
  if ((last + 1) * blockWidth <= comparedAtOnceMax) return Array.from({ length: last + 1 }, (_, block) => block);
  let perBucket = 1;
  while (Math.ceil((last + 1) / perBucket) > coarseBucketsMax) perBucket *= 2;
  const coarse = await count(comparison, [{ from: 0, to: comparison.upTo }], perBucket * blockWidth);
  const ownCoarse = new Map<number, number>();
  for (const [block, rows] of own) {
    const bucket = Math.floor(block / perBucket) * perBucket * blockWidth;
    ownCoarse.set(bucket, (ownCoarse.get(bucket) ?? 0) + rows);
  }
  const differing = differingKeys(ownCoarse, coarse);
  if (perBucket === 1) return differing.map((from) => from / blockWidth);
  const found: number[] = [];
  const bucketsAtOnce = Math.max(1, Math.floor(coarseBucketsMax / perBucket));
  for (let at = 0; at < differing.length; at += bucketsAtOnce) {
    const ranges = differing.slice(at, at + bucketsAtOnce).map((from) => ({ from, to: from + perBucket * blockWidth - 1 }));
    const theirs = await count(comparison, ranges, blockWidth);
    const ours = new Map<number, number>();
    for (const range of ranges) {
      for (let block = range.from / blockWidth; block * blockWidth <= range.to; block++) {
        const rows = own.get(block);
        if (rows !== undefined) ours.set(block * blockWidth, rows);
      }
    }
    found.push(...differingKeys(ours, theirs).map((from) => from / blockWidth));
  }
  return found;
}

/** Differences within ranges of up to a block each. */
async function compareRanges(comparison: Comparison, ranges: readonly Range[]): Promise<Differences> {
  const own = ranges.flatMap((range) => comparison.rows.sequenceNumbers(comparison.shardKey, range));
  let compared = ranges;
  if (ranges.reduce((sum, range) => sum + range.to - range.from + 1, 0) > comparedAtOnceMax) {
    const ours = new Map<number, number>();
    for (const seqNo of own) {
      const bucket = Math.floor(seqNo / fineWidth) * fineWidth;
      ours.set(bucket, (ours.get(bucket) ?? 0) + 1);
    }
    const theirs = await count(comparison, ranges, fineWidth);
    compared = differingKeys(ours, theirs).map((from) => ({ from, to: Math.min(comparison.upTo, from + fineWidth - 1) }));
  }
  const differences: Differences = { missing: [], unknown: [] };
  const wanted = new Set<number>();
  const bounds = merge(compared);
  let bound = 0;
  for (const seqNo of own) {
    while (bound < bounds.length && bounds[bound]!.to < seqNo) bound++;
    if (bound < bounds.length && seqNo >= bounds[bound]!.from) wanted.add(seqNo);
  }
  for (const group of grouped(bounds, comparedAtOnceMax)) {
    for (const seqNo of (await count(comparison, group, 1)).keys()) {
      if (!wanted.delete(seqNo)) differences.unknown.push(seqNo);
    }
  }
  differences.missing.push(...wanted);
  differences.unknown.sort((a, b) => a - b);
  return differences;
}

async function count(
  { reader, copy, signal }: Comparison,
  ranges: readonly Range[],
  interval: number,
): Promise<Map<number, number>> {
  if (ranges.length === 0) return new Map();
  return histogram(reader, copy, { ranges: ranges.map((r) => ({ after: r.from - 1, upTo: r.to })), origin: 0, interval, signal });
}

function differingKeys(ours: ReadonlyMap<number, number>, theirs: ReadonlyMap<number, number>): number[] {
  const keys = new Set([...ours.keys(), ...theirs.keys()]);
  return [...keys].filter((key) => (ours.get(key) ?? 0) !== (theirs.get(key) ?? 0)).sort((a, b) => a - b);
}

/** Neighbouring ranges joined; the ranges are sorted. */
function merge(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && last.to + 1 >= range.from) last.to = Math.max(last.to, range.to);
    else merged.push({ ...range });
  }
  return merged;
}

const rangesAtOnce = 500;

/** Groups of ranges that together span at most `width` sequence numbers (a single wider one stands alone). */
function* grouped(ranges: readonly Range[], width: number): Generator<Range[]> {
  let group: Range[] = [];
  let spanned = 0;
  for (const range of ranges) {
    const wide = range.to - range.from + 1;
    if (group.length > 0 && (spanned + wide > width || group.length >= rangesAtOnce)) {
      yield group;
      group = [];
      spanned = 0;
    }
    group.push(range);
    spanned += wide;
  }
  if (group.length > 0) yield group;
}
