import { GatewayError } from '../core/errors.ts';
import type { ObjectStore } from '../core/strategy.ts';
import { openBlock, type WholeBlock } from './block-reader.ts';
import type { SealedBlock } from './block-writer.ts';
import { blockKey, type BlockFormat, type Compression } from './key.ts';
import type { OpenedPart } from './part.ts';

/** `there`: an object of that key holds just these messages. `beside`: an object that holds something else has the usual key. */
export type StoreOutcome = { is: 'stored' | 'there'; key: string; bytes: number; beside?: { key: string; reason: string } };

/**
 * Writes a block under its key. An object that has it already is read and compared, message by message: the same content is success
 * (a crash, or an answer that was lost). Other content (another stream of that name, a job with another filter, damage) stays as it
 * is, and the block goes beside it, under a key that ends with its digest.
 */
export async function storeBlock(
  store: ObjectStore,
  prefix: string,
  block: SealedBlock,
  signal?: AbortSignal,
): Promise<StoreOutcome> {
  const bytes = block.body.length;
  const usual = blockKey({ ...block, prefix });
  const first = await putOrCompare(store, usual, block, signal);
  if (first.is !== 'other') return { is: first.is, key: usual, bytes };
  const beside = { key: usual, reason: first.reason };
  const key = blockKey({ ...block, prefix, variant: block.digest.slice(0, 16) });
  const second = await putOrCompare(store, key, block, signal);
  if (second.is !== 'other') return { is: second.is, key, bytes, beside };
  throw new GatewayError('ARCHIVE_KEY_TAKEN', `${key} exists and is not what its name says: ${second.reason}`, {
    hint: 'look at that object, and remove it',
  });
}

type Put = { is: 'stored' | 'there' } | { is: 'other'; reason: string };

async function putOrCompare(store: ObjectStore, key: string, block: SealedBlock, signal: AbortSignal | undefined): Promise<Put> {
  for (;;) {
    const put = await store.put(key, block.body, { contentType: contentType(block.format, block.compression), signal });
    if (put.is === 'stored') return put;
    const found = await store.get(key, undefined, signal);
    // Removed between the two: it can be written after all.
    if (found === undefined) continue;
    return found.equals(block.body) ? { is: 'there' } : compare(key, block.body, found);
  }
}

async function compare(key: string, own: Buffer, found: Buffer): Promise<Put> {
  try {
    const same = await haveSameMessages(await openBlock(key, own), await openBlock(key, found));
    return same ? { is: 'there' } : { is: 'other', reason: 'it holds other messages' };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return { is: 'other', reason: error.message };
  }
}

/** Parts may be cut differently. */
async function haveSameMessages(left: WholeBlock, right: WholeBlock): Promise<boolean> {
  const { stream, streamCreated, messages } = left.header;
  const other = right.header;
  if (stream !== other.stream || streamCreated !== other.streamCreated || messages !== other.messages) return false;
  const others = messagesOf(right);
  for await (const [part, at] of messagesOf(left)) {
    const next = await others.next();
    if (next.done === true || !isSame(part, at, ...next.value)) return false;
  }
  return true;
}

async function* messagesOf(block: WholeBlock): AsyncGenerator<[OpenedPart, number], undefined> {
  for await (const part of block.parts()) for (let at = 0; at < part.messages; at++) yield [part, at];
}

function isSame(part: OpenedPart, at: number, other: OpenedPart, otherAt: number): boolean {
  return (
    part.sequence(at) === other.sequence(otherAt) &&
    part.timestamp(at) === other.timestamp(otherAt) &&
    part.nanos(at) === other.nanos(otherAt) &&
    part.subject(at) === other.subject(otherAt) &&
    part.headers(at).equals(other.headers(otherAt)) &&
    part.payload(at).equals(other.payload(otherAt))
  );
}

function contentType(format: BlockFormat, compression: Compression): string {
  if (format === 'n3b') return 'application/vnd.nats3.block';
  return { zstd: 'application/zstd', gzip: 'application/gzip', none: 'application/x-ndjson' }[compression];
}
