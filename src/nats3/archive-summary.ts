import { describeBlocks, findBlocks, formatTime, trimPrefix, type DescribedBlock } from '../archive/index.ts';
import type { ObjectStore } from '../core/strategy.ts';
import type { ArchiveAnswer } from './schema.ts';

type Block = Extract<DescribedBlock, { header: unknown }>;
type Sum = Omit<ArchiveAnswer['jobs'][number], 'first_time' | 'last_time'> & { from: bigint; to: bigint };

/** What a bucket holds, by prefix, stream and job, as the headers of its blocks say. Without a prefix: under any. */
export async function summarise(store: ObjectStore, prefix: string | undefined): Promise<ArchiveAnswer> {
  const sums = new Map<string, Sum>();
  for await (const block of describeBlocks(store, findBlocks(store, { prefix }))) {
    // A block that cannot be read is the affair of `archive verify`.
    if ('error' in block) continue;
    const key = JSON.stringify([block.name.prefix, block.header.stream, block.header.job]);
    const sum = sums.get(key) ?? emptySum(block);
    sums.set(key, sum);
    include(sum, block);
  }
  return {
    bucket: store.name,
    ...(prefix === undefined ? {} : { prefix: trimPrefix(prefix) }),
    jobs: [...sums.values()].map(({ from, to, ...sum }) => ({ ...sum, first_time: formatTime(from), last_time: formatTime(to) })),
  };
}

function emptySum({ name, header }: Block): Sum {
  return {
    prefix: name.prefix,
    stream: header.stream,
    job: header.job,
    first_seq: header.firstSequence,
    last_seq: header.lastSequence,
    from: header.firstTime,
    to: header.lastTime,
    messages: 0,
    bytes: 0,
    objects: 0,
    stored_bytes: 0,
  };
}

function include(sum: Sum, { header, bytes }: Block): void {
  sum.first_seq = Math.min(sum.first_seq, header.firstSequence);
  sum.last_seq = Math.max(sum.last_seq, header.lastSequence);
  if (header.firstTime < sum.from) sum.from = header.firstTime;
  if (header.lastTime > sum.to) sum.to = header.lastTime;
  sum.objects++;
  sum.stored_bytes += bytes;
  sum.messages += header.messages;
  sum.bytes += header.bytes;
}
