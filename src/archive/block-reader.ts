import { crc32 } from 'node:zlib';
import { describeParts, type BlockHeader } from './block-header.ts';
import { partBytesDefault } from './block-writer.ts';
import { decompress } from './compression.ts';
import { BlockDamage, damageOf } from './damage.ts';
import { parseBlockKey, type BlockName, type Compression } from './key.ts';
import { checkDigest, decodePreamble, decodeTail, type PartEntry } from './layout.ts';
import { readNdjson } from './ndjson.ts';
import { OpenedPart } from './part.ts';
import type { PartFacts } from './part-facts.ts';

/** A whole block in memory, with its parts in order, opened one at a time. */
export type WholeBlock = { header: BlockHeader; parts: () => AsyncGenerator<OpenedPart> };

/**
 * Opens a whole block. Every byte of an n3b block is checked: before its parts are opened against the digest of the whole, and each
 * part against its own checksum. Throws ARCHIVE_DAMAGED, ARCHIVE_NEWER, ARCHIVE_FOREIGN; so do the parts.
 */
export async function openBlock(key: string, body: Buffer): Promise<WholeBlock> {
  const name = parseBlockKey(key);
  try {
    return name?.format === 'ndjson' ? await openNdjson(name, body) : openN3b(key, body);
  } catch (error) {
    throw damageOf(key, error);
  }
}

function openN3b(key: string, body: Buffer): WholeBlock {
  const front = decodePreamble(body);
  if ('bytesNeeded' in front) throw new BlockDamage('it ends within its header', { offset: body.length });
  const tail = decodeTail(body, body.length);
  if ('bytesNeeded' in tail) throw new BlockDamage('it ends within its footer', { offset: body.length });
  checkDigest(body);
  const { header } = front;
  return {
    header,
    parts: async function* () {
      for (const [number, entry] of tail.parts.entries()) {
        const bytes = body.subarray(entry.offset, entry.offset + entry.bytes);
        yield await openPart(key, number, entry, header.compression, bytes);
      }
    },
  };
}

async function openNdjson(name: BlockName, body: Buffer): Promise<WholeBlock> {
  const parts: OpenedPart[] = [];
  const facts: PartFacts[] = [];
  let created = '';
  let bytes = 0;
  for await (const part of readNdjson(body, name.compression ?? 'none', partBytesDefault)) {
    const opened = new OpenedPart(part.raw);
    parts.push(opened);
    facts.push(part.facts);
    created = part.streamCreated;
    bytes += opened.contentBytes;
  }
  if (facts.length === 0) throw new BlockDamage('it holds no message');
  const { stream, job, compression = 'none' } = name;
  const header = describeParts({ stream, streamCreated: created, job, compression, bytes, after: undefined }, facts);
  if (header.firstSequence !== name.firstSequence || header.lastSequence !== name.lastSequence)
    throw new BlockDamage(`it holds messages ${header.firstSequence} to ${header.lastSequence}`);
  return {
    header,
    parts: async function* () {
      yield* parts;
    },
  };
}

/** Opens one part of an n3b block from its own bytes. Throws ARCHIVE_DAMAGED. */
export async function openPart(
  key: string,
  number: number,
  entry: PartEntry,
  compression: Compression,
  bytes: Buffer,
): Promise<OpenedPart> {
  const place = { part: number, offset: entry.offset };
  try {
    if (bytes.length !== entry.bytes) throw new BlockDamage(`${bytes.length} of its ${entry.bytes} bytes are there`);
    if (crc32(bytes) !== entry.crc) throw new BlockDamage('its checksum is wrong');
    const raw = await decompress(bytes, compression, entry.rawBytes);
    if (raw.length !== entry.rawBytes) throw new BlockDamage(`it opens to ${raw.length} of ${entry.rawBytes} bytes`);
    const part = new OpenedPart(raw, compression !== 'none');
    const last = part.messages - 1;
    if (
      part.messages !== entry.messages ||
      part.sequence(0) !== entry.firstSequence ||
      part.sequence(last) !== entry.lastSequence
    )
      throw new BlockDamage('it holds other messages than the footer says');
    return part;
  } catch (error) {
    throw damageOf(key, error, place);
  }
}
