import { promisify } from 'node:util';
import { constants, zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync } from 'node:zlib';
import type { BufferPool } from './buffer-pool.ts';
import type { ChangeList } from './change-block.ts';
import type { ChangeEvent } from './event.ts';
import { decodeEnvelopes } from './envelope.ts';
import { type EnvelopeWriter, envelopeWriter } from './envelope-writer.ts';
import { GatewayError } from './errors.ts';
import type { Message } from './strategy.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Says how a frame's payload is coded; absent for plain NDJSON. */
export const encodingHeader = 'Content-Encoding';
/** Says how many envelopes a frame holds, each with its document: whoever passes it on need not open it. Absent where one has a reference. */
const documentsHeader = 'Es-Documents';
const zstd = 'zstd';

/** Up to this size, uncompressed, handing the work to another thread costs more than the work: a third of a millisecond at most. */
const hereBytesMax = 128 * 1024;

/** An uncompressed frame may not open to more than this: a foreign message must not take the memory. */
const openedBytesMax = 256 * 1024 * 1024;

/** An output of the right size spares copies; what a header says of it is not believed beyond this. */
const chunkBytesMax = 4 * 1024 * 1024;
const chunkBytesMin = 16 * 1024;
const packedChunkBytesMin = 1024;

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
  /** A document of it lies in an object store. */
  refers: boolean;
  firstSeqNo: number;
  lastSeqNo: number;
};

const fromHeap = (bytes: number): Buffer => Buffer.allocUnsafe(bytes);

/** Changes of one tenant and index, cut into uncompressed frames, each packed when it is asked for. `memory` gives it its bytes. */
export function* packFrames(changes: ChangeList, limits: FrameLimits, memory = fromHeap): Generator<Frame, void> {
  if (changes.length === 0) return;
  const writer = envelopeWriter(changes);
  for (let from = 0; from < changes.length;) {
    const end = Math.min(changes.length, from + limits.documentsMax);
    const frame = packOne(writer, from, end, limits.bytesMax, memory(roomFor(writer, from, end, limits.bytesMax)));
    yield frame;
    from += frame.documents;
  }
}

/** Bytes to write the frame in which begins with change `from`: for every change that may be tried, one that will not fit included. */
function roomFor(writer: EnvelopeWriter, from: number, end: number, bytesMax: number): number {
  let room = 0;
  let atLeast = 0;
  for (let at = from; at < end && atLeast <= bytesMax; at++) {
    room += writer.bytesMax(at);
    atLeast += writer.bytesMin(at);
  }
  return room;
}

function packOne(writer: EnvelopeWriter, from: number, end: number, bytesMax: number, memory: Buffer): Frame {
  let bytes = 0;
  let refers = false;
  let at = from;
  for (; at < end && (at === from || bytes < bytesMax); at++) {
    const next = writer.write(memory, bytes, at);
    if (next > bytesMax && at > from) break;
    refers ||= writer.refers(at);
    bytes = next;
  }
  return {
    payload: memory.subarray(0, bytes),
    encoding: undefined,
    documents: at - from,
    bytes,
    refers,
    firstSeqNo: writer.seqNo(from),
    lastSeqNo: writer.seqNo(at - 1),
  };
}

/** The frame as it goes over the wire: compressed where that is wanted. */
export async function sealFrame(frame: Frame, limits: FrameLimits): Promise<Frame> {
  if (limits.compressFromBytes === 0 || frame.bytes < limits.compressFromBytes) return frame;
  const options = {
    params: { [constants.ZSTD_c_compressionLevel]: limits.compressLevel },
    // Writes the size into the zstd header, so that whoever opens it need not feel its way.
    pledgedSrcSize: frame.payload.length,
    // The last chunk is kept whole for as long as the message is, and zlib holds on to it for longer still.
    chunkSize: Math.min(Math.max(frame.payload.length >> 3, packedChunkBytesMin), chunkBytesMin),
  };
  const here = frame.payload.length <= hereBytesMax;
  const payload = here ? zstdCompressSync(frame.payload, options) : await compress(frame.payload, options);
  return { ...frame, payload, encoding: zstd };
}

/** As `sealFrame`, for a frame that was packed in memory of a pool, which is given back: what comes of it has memory of its own. */
export async function sealPooled(packed: Frame, limits: FrameLimits, pool: BufferPool): Promise<Frame> {
  const sealed = await sealFrame(packed, limits);
  const frame = sealed === packed ? { ...packed, payload: Buffer.from(packed.payload) } : sealed;
  pool.give(packed.payload as Buffer);
  return frame;
}

/** The headers of the message that carries the frame. */
export function frameHeaders({
  encoding,
  documents,
  refers,
}: Pick<Frame, 'encoding' | 'documents' | 'refers'>): Map<string, string> {
  const headers = new Map<string, string>();
  if (encoding !== undefined) headers.set(encodingHeader, encoding);
  if (!refers) headers.set(documentsHeader, String(documents));
  return headers;
}

/** How many documents the headers say that the message holds; undefined when only its contents tell, or when one is a reference. */
export function documentsOf({ headers }: Pick<Message, 'headers'>): number | undefined {
  const text = headers.get(documentsHeader);
  return text !== undefined && /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
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
    const bytes = openedBytes(message.payload);
    // A byte more than is needed: zlib takes another chunk where one is exactly full.
    const chunkSize = Math.min(Math.max(bytes ?? 0, chunkBytesMin), chunkBytesMax) + 1;
    const options = { maxOutputLength: openedBytesMax, chunkSize };
    const here = bytes !== undefined && bytes <= hereBytesMax;
    return here ? zstdDecompressSync(message.payload, options) : await decompress(message.payload, options);
  } catch (error) {
    throw new GatewayError('FRAME_FOREIGN', `a message on ${message.subject} cannot be decompressed`, {
      hint: 'it was not published by this product, or it is damaged',
      cause: error,
    });
  }
}

/** The size that a zstd frame's header tells, if it does (RFC 8878, section 3.1.1.1). */
function openedBytes(payload: Uint8Array): number | undefined {
  const header = Buffer.from(payload.buffer, payload.byteOffset, Math.min(payload.byteLength, 18));
  const descriptor = header[4] ?? 0;
  const singleSegment = (descriptor & 0x20) !== 0;
  const at = 5 + (singleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  const bytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  if (bytes === 0 || header.length < at + bytes) return undefined;
  return bytes === 8 ? Number(header.readBigUInt64LE(at)) : header.readUIntLE(at, bytes) + (bytes === 2 ? 256 : 0);
}
