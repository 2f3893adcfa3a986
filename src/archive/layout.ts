import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { GatewayError } from '../core/errors.ts';
import { BlockDamage } from './damage.ts';
import type { Compression } from './key.ts';
import type { PartFacts } from './part.ts';

/** The layout of an n3b block: preamble, parts, footer, trailer. Complete in docs/archive-format.md; numbers are little-endian. */
export const formatVersion = 1;

/** Like PNG's: a transfer that changes line ends or the eighth bit shows at once. */
const magic = Buffer.from([0x8e, 0x4e, 0x33, 0x42, 0x0d, 0x0a, 0x1a, 0x0a]);
const endMagic = Buffer.from('N3B-END\n');
const preambleHeadBytes = magic.length + 8;
const digestBytes = 32;
export const trailerBytes = 8 + digestBytes + endMagic.length;

export type BlockHeader = {
  stream: string;
  /** When the stream was created, as the server tells it: RFC 3339 with nanoseconds. Tells apart streams of one name. */
  streamCreated: string;
  job: string;
  compression: Compression;
};

export type PartEntry = PartFacts & {
  /** Of its bytes in the block. */
  offset: number;
  bytes: number;
  /** Uncompressed. */
  rawBytes: number;
  /** Of its bytes in the block. */
  crc: number;
};

export type BlockIndex = { header: BlockHeader; parts: readonly PartEntry[] };

export function encodePreamble(header: BlockHeader): Buffer {
  const json = Buffer.from(JSON.stringify(headerJson(header)));
  const head = Buffer.alloc(8);
  head.writeUInt16LE(formatVersion, 0);
  head.writeUInt32LE(json.length, 4);
  const bytes = Buffer.concat([magic, head, json]);
  return Buffer.concat([bytes, uint32(crc32(bytes))]);
}

/** Throws BlockDamage, ARCHIVE_NEWER, ARCHIVE_FOREIGN. */
export function decodePreamble(body: Buffer): { header: BlockHeader; bytes: number } {
  if (!body.subarray(0, magic.length).equals(magic)) throw new BlockDamage('it does not begin like a block', { offset: 0 });
  if (body.length < preambleHeadBytes) throw new BlockDamage('it ends within its head', { offset: 0 });
  const end = preambleHeadBytes + body.readUInt32LE(12);
  if (end + 4 > body.length || crc32(body.subarray(0, end)) !== body.readUInt32LE(end))
    throw new BlockDamage('the checksum of its head is wrong', { offset: 0 });
  checkVersion(body.readUInt16LE(8));
  return { header: readHeader(parseJson(body.subarray(preambleHeadBytes, end))), bytes: end + 4 };
}

export function encodeFooter({ header, parts }: BlockIndex): Buffer {
  return Buffer.from(JSON.stringify({ v: formatVersion, ...headerJson(header), parts: parts.map(partJson) }));
}

export function encodeTrailer(footer: Buffer, digest: Buffer): Buffer {
  return Buffer.concat([uint32(footer.length), uint32(crc32(footer)), digest, endMagic]);
}

/** `tail` ends where the block ends. Undefined: the tail is too short, `bytesNeeded` tells how much of the end it takes. */
export function decodeTail(tail: Buffer, blockBytes: number): { index: BlockIndex; footerAt: number } | { bytesNeeded: number } {
  const trailerAt = tail.length - trailerBytes;
  if (trailerAt < 0 || !tail.subarray(-endMagic.length).equals(endMagic))
    throw new BlockDamage('it does not end like a block', { offset: Math.max(0, blockBytes - trailerBytes) });
  const footerBytes = tail.readUInt32LE(trailerAt);
  const bytesNeeded = footerBytes + trailerBytes;
  if (bytesNeeded > blockBytes)
    throw new BlockDamage('its footer is longer than the block', { offset: blockBytes - trailerBytes });
  if (bytesNeeded > tail.length) return { bytesNeeded };
  const footer = tail.subarray(trailerAt - footerBytes, trailerAt);
  const footerAt = blockBytes - bytesNeeded;
  if (crc32(footer) !== tail.readUInt32LE(trailerAt + 4))
    throw new BlockDamage('the checksum of its footer is wrong', { offset: footerAt });
  const json = parseJson(footer);
  checkVersion(json['v'] as number);
  return { index: { header: readHeader(json), parts: (json['parts'] as PartJson[]).map(readPart) }, footerAt };
}

/** The digest that the trailer of a whole block must hold, and the one that it holds. */
export function digestsOf(body: Buffer): { computed: Buffer; stored: Buffer } {
  const trailerAt = body.length - trailerBytes;
  const computed = createHash('sha256')
    .update(body.subarray(0, trailerAt + 8))
    .digest();
  return { computed, stored: body.subarray(trailerAt + 8, trailerAt + 8 + digestBytes) };
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function checkVersion(version: number): void {
  if (version > formatVersion) {
    throw new GatewayError(
      'ARCHIVE_NEWER',
      `a block has version ${version} of the format; this program reads up to ${formatVersion}`,
      {
        hint: 'use the program version that wrote the archive, or a newer one',
      },
    );
  }
}

function parseJson(bytes: Buffer): Record<string, unknown> {
  return JSON.parse(bytes.toString()) as Record<string, unknown>;
}

function headerJson({ stream, streamCreated, job, compression }: BlockHeader): object {
  return { stream, stream_created: streamCreated, job, compression };
}

function readHeader(json: Record<string, unknown>): BlockHeader {
  const { stream, stream_created: streamCreated, job, compression } = json as Record<string, string>;
  if (compression !== 'zstd' && compression !== 'gzip' && compression !== 'none') {
    throw new GatewayError('ARCHIVE_NEWER', `a block has the compression ${JSON.stringify(compression)}`, {
      hint: 'use the program version that wrote the archive, or a newer one',
    });
  }
  return { stream: stream!, streamCreated: streamCreated!, job: job!, compression };
}

type PartJson = {
  offset: number;
  bytes: number;
  raw_bytes: number;
  crc32: number;
  messages: number;
  first_seq: number;
  last_seq: number;
  first_time: string;
  last_time: string;
  subjects: string[];
};

function partJson(part: PartEntry): PartJson {
  return {
    offset: part.offset,
    bytes: part.bytes,
    raw_bytes: part.rawBytes,
    crc32: part.crc,
    messages: part.messages,
    first_seq: part.firstSequence,
    last_seq: part.lastSequence,
    first_time: String(part.firstTime),
    last_time: String(part.lastTime),
    subjects: [...part.subjects],
  };
}

function readPart(json: PartJson): PartEntry {
  return {
    offset: json.offset,
    bytes: json.bytes,
    rawBytes: json.raw_bytes,
    crc: json.crc32,
    messages: json.messages,
    firstSequence: json.first_seq,
    lastSequence: json.last_seq,
    firstTime: BigInt(json.first_time),
    lastTime: BigInt(json.last_time),
    subjects: json.subjects,
  };
}
