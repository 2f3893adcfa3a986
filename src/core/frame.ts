import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import type { ChangeEvent } from './event.ts';
import { decodeEnvelopes, envelopeHead, envelopePrefix } from './envelope.ts';
import { GatewayError } from './errors.ts';
import type { Message } from './strategy.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Says how a frame's payload is coded; absent for plain NDJSON. */
export const encodingHeader = 'Content-Encoding';
const zstd = 'zstd';

/** An uncompressed frame may not open to more than this: a foreign message must not take the memory. */
const openedBytesMax = 256 * 1024 * 1024;

export type FrameLimits = {
  documentsMax: number;
  /** Uncompressed; a single larger document still makes a frame of its own. */
  bytesMax: number;
  /** Payloads from this size on are compressed; 0 compresses none. */
  compressFromBytes: number;
  /** zstd's own scale, 1 to 19. */
  compressLevel: number;
};

/** One message's worth of envelopes, all of one subject. */
export type Frame = {
  payload: Uint8Array;
  encoding: string | undefined;
  documents: number;
  /** Before compression. */
  bytes: number;
  firstSeqNo: number;
  lastSeqNo: number;
};

/** Events of one tenant, index and operation, cut into uncompressed frames. */
export function packFrames(events: readonly ChangeEvent[], limits: FrameLimits): Frame[] {
  const first = events[0];
  if (first === undefined) return [];
  const prefix = envelopePrefix(first.tenant, first.index);
  const frames: Frame[] = [];
  let from = 0;
  while (from < events.length) {
    const { to, capacity } = measure(events, from, prefix.length, limits);
    frames.push(packOne(events, from, to, prefix, capacity));
    from = to;
  }
  return frames;
}

/** Takes events while they fit; `capacity` is an upper bound of the frame's bytes. */
function measure(
  events: readonly ChangeEvent[],
  from: number,
  prefixLength: number,
  limits: FrameLimits,
): { to: number; capacity: number } {
  let to = from;
  let capacity = 0;
  while (to < events.length && to - from < limits.documentsMax) {
    const event = events[to]!;
    // A UTF-16 unit takes at most three bytes of UTF-8, and an escape six characters.
    const text = prefixLength + event.id.length * 2 + (event.routing?.length ?? 0) * 2 + (event.extra?.length ?? 0);
    const bytes = text * 3 + 400 + (event.source?.length ?? 0) + (event.sourceRef === undefined ? 0 : 600);
    if (to > from && capacity + bytes > limits.bytesMax) break;
    capacity += bytes;
    to++;
  }
  return { to, capacity };
}

function packOne(events: readonly ChangeEvent[], from: number, to: number, prefix: string, capacity: number): Frame {
  const buffer = Buffer.allocUnsafe(capacity);
  let at = 0;
  for (let i = from; i < to; i++) {
    const event = events[i]!;
    at += buffer.write(envelopeHead(prefix, event), at);
    if (event.source === undefined) continue;
    buffer.set(event.source, at);
    at += event.source.length;
    buffer[at++] = 0x7d;
    buffer[at++] = 0x0a;
  }
  return {
    payload: buffer.subarray(0, at),
    encoding: undefined,
    documents: to - from,
    bytes: at,
    firstSeqNo: events[from]!.seqNo,
    lastSeqNo: events[to - 1]!.seqNo,
  };
}

/** The frame as it goes over the wire: compressed where that is wanted. */
export async function sealFrame(frame: Frame, limits: FrameLimits): Promise<Frame> {
  if (limits.compressFromBytes === 0 || frame.bytes < limits.compressFromBytes) return frame;
  const payload = await compress(frame.payload, { params: { [constants.ZSTD_c_compressionLevel]: limits.compressLevel } });
  return { ...frame, payload, encoding: zstd };
}

/** The events of a message. Documents are views into the opened payload. Throws FRAME_FOREIGN or ENVELOPE_* for what is not ours. */
export async function openFrame(message: Message): Promise<ChangeEvent[]> {
  return decodeEnvelopes(await openPayload(message));
}

/** The message's payload, decompressed. */
export async function openPayload(message: Message): Promise<Uint8Array> {
  const encoding = message.headers.get(encodingHeader);
  if (encoding === undefined || encoding === '' || encoding === 'identity') return message.payload;
  if (encoding !== zstd) {
    throw new GatewayError(
      'FRAME_FOREIGN',
      `a message on ${message.subject} has the content encoding ${JSON.stringify(encoding)}`,
      {
        hint: 'only zstd and plain frames belong on a change stream',
      },
    );
  }
  try {
    return await decompress(message.payload, { maxOutputLength: openedBytesMax });
  } catch (error) {
    throw new GatewayError('FRAME_FOREIGN', `a message on ${message.subject} cannot be decompressed`, {
      hint: 'it was not published by this product, or it is damaged',
      cause: error,
    });
  }
}
