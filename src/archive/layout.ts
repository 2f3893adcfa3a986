import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { headerFromJson, headerToJson, newer, type BlockHeader } from './block-header.ts';
import { BlockDamage } from './damage.ts';
import type { PartFacts } from './part-facts.ts';
import { formatTime, parseTime } from './time.ts';

/** The layout of an n3b block: preamble, parts, footer, trailer. docs/archive-format.md is complete; numbers are little-endian. */
const formatVersion = 1;

/** Like PNG's: a transfer that changes line ends or takes the eighth bit away shows at once. */
const magic = Buffer.from([0x8e, 0x4e, 0x33, 0x42, 0x0d, 0x0a, 0x1a, 0x0a]);
const endMagic = Buffer.from('N3B-END\n');
const versionAt = magic.length;
const headerAt = versionAt + 8;
const digestBytes = 32;
const trailerBytes = 8 + digestBytes + endMagic.length;

/** A read of so much from the front of a block, and of so much from its end, has the preamble and the footer of most. */
export const frontBytes = 4 * 1024;
export const tailBytes = 32 * 1024;

/** A part's line in the footer. */
export type PartEntry = PartFacts & {
  /** Of its bytes in the block. */
  offset: number;
  bytes: number;
  /** Uncompressed. */
  rawBytes: number;
  /** Of its bytes in the block. */
  crc: number;
};

export function encodePreamble(header: BlockHeader): Buffer {
  const json = Buffer.from(JSON.stringify(headerToJson(header)));
  const preamble = Buffer.alloc(headerAt + json.length + 4);
  magic.copy(preamble);
  preamble.writeUInt16LE(formatVersion, versionAt);
  preamble.writeUInt32LE(json.length, versionAt + 4);
  json.copy(preamble, headerAt);
  preamble.writeUInt32LE(crc32(preamble.subarray(0, -4)), headerAt + json.length);
  return preamble;
}

/** `front`: the first bytes of a block, or all of it. `bytesNeeded`: it takes so many. Throws BlockDamage, ARCHIVE_NEWER. */
export function decodePreamble(front: Buffer): { header: BlockHeader; bytes: number } | { bytesNeeded: number } {
  if (!front.subarray(0, magic.length).equals(magic)) throw new BlockDamage('it does not begin like a block', { offset: 0 });
  if (front.length < headerAt) throw new BlockDamage('it ends within its head', { offset: 0 });
  const end = headerAt + front.readUInt32LE(versionAt + 4);
  if (end + 4 > front.length) return { bytesNeeded: end + 4 };
  if (crc32(front.subarray(0, end)) !== front.readUInt32LE(end))
    throw new BlockDamage('the checksum of its head is wrong', { offset: 0 });
  checkVersion(front.readUInt16LE(versionAt));
  return { header: headerFromJson(front.toString('utf8', headerAt, end)), bytes: end + 4 };
}

/** Footer and trailer. `before`: everything before them, in order. */
export function encodeEnd(parts: readonly PartEntry[], before: readonly Uint8Array[]): { end: Buffer; digest: Buffer } {
  const footer = Buffer.from(JSON.stringify({ v: formatVersion, parts: parts.map(partToJson) }));
  const end = Buffer.alloc(footer.length + trailerBytes);
  footer.copy(end);
  end.writeUInt32LE(footer.length, footer.length);
  end.writeUInt32LE(crc32(footer), footer.length + 4);
  endMagic.copy(end, end.length - endMagic.length);
  const hash = createHash('sha256');
  for (const bytes of before) hash.update(bytes);
  const digest = hash.update(end.subarray(0, footer.length + 8)).digest();
  digest.copy(end, footer.length + 8);
  return { end, digest };
}

/** `tail`: the last bytes of a block, or all of it. `bytesNeeded`: it takes so many. Throws BlockDamage, ARCHIVE_NEWER. */
export function decodeTail(tail: Buffer, blockBytes: number): { parts: PartEntry[]; footerAt: number } | { bytesNeeded: number } {
  const trailerAt = tail.length - trailerBytes;
  const place = { offset: Math.max(0, blockBytes - trailerBytes) };
  if (trailerAt < 0 || !tail.subarray(-endMagic.length).equals(endMagic))
    throw new BlockDamage('it does not end like a block', place);
  const footerBytes = tail.readUInt32LE(trailerAt);
  const bytesNeeded = footerBytes + trailerBytes;
  if (bytesNeeded > blockBytes) throw new BlockDamage('its footer is longer than itself', place);
  if (bytesNeeded > tail.length) return { bytesNeeded };
  const footer = tail.subarray(trailerAt - footerBytes, trailerAt);
  const footerAt = blockBytes - bytesNeeded;
  if (crc32(footer) !== tail.readUInt32LE(trailerAt + 4))
    throw new BlockDamage('the checksum of its footer is wrong', { offset: footerAt });
  const json = JSON.parse(footer.toString()) as { v: number; parts: PartJson[] };
  checkVersion(json.v);
  return { parts: json.parts.map(partFromJson), footerAt };
}

/** Throws BlockDamage where the digest of a whole block is not what its trailer says. */
export function checkDigest(body: Buffer): void {
  const digestAt = body.length - endMagic.length - digestBytes;
  const computed = createHash('sha256').update(body.subarray(0, digestAt)).digest();
  if (!computed.equals(body.subarray(digestAt, digestAt + digestBytes)))
    throw new BlockDamage('the checksum of the whole is wrong', { offset: digestAt });
}

function checkVersion(version: number): void {
  if (version > formatVersion) throw newer(`version ${version} of the format`);
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

function partToJson(part: PartEntry): PartJson {
  return {
    offset: part.offset,
    bytes: part.bytes,
    raw_bytes: part.rawBytes,
    crc32: part.crc,
    messages: part.messages,
    first_seq: part.firstSequence,
    last_seq: part.lastSequence,
    first_time: formatTime(part.firstTime),
    last_time: formatTime(part.lastTime),
    subjects: [...part.subjects],
  };
}

function partFromJson(json: PartJson): PartEntry {
  return {
    offset: json.offset,
    bytes: json.bytes,
    rawBytes: json.raw_bytes,
    crc: json.crc32,
    messages: json.messages,
    firstSequence: json.first_seq,
    lastSequence: json.last_seq,
    firstTime: parseTime(json.first_time),
    lastTime: parseTime(json.last_time),
    subjects: json.subjects,
  };
}
