import { formatTime, summariseArchive, trimPrefix } from '../archive/index.ts';
import type { ObjectStore } from '../core/strategy.ts';
import type { ArchiveAnswer } from './schema.ts';

/** What a bucket holds, by prefix, stream and job, as the headers of its blocks say. Without a prefix: under any. */
export async function archiveAnswerOf(store: ObjectStore, prefix: string | undefined): Promise<ArchiveAnswer> {
  const { chains, unreadable } = await summariseArchive(store, { prefix });
  return {
    bucket: store.name,
    ...(prefix === undefined ? {} : { prefix: trimPrefix(prefix) }),
    jobs: chains.map((chain) => ({
      prefix: chain.prefix,
      stream: chain.stream,
      stream_created: chain.streamCreated,
      job: chain.job,
      first_seq: chain.firstSequence,
      last_seq: chain.lastSequence,
      first_time: formatTime(chain.firstTime),
      last_time: formatTime(chain.lastTime),
      messages: chain.messages,
      bytes: chain.bytes,
      objects: chain.blocks,
      stored_bytes: chain.storedBytes,
    })),
    unreadable: unreadable.map(({ key }) => key),
  };
}
