import { crc32 } from 'node:zlib';
import { GatewayError } from '../core/errors.ts';
import { decompress } from './compression.ts';
import { ArchiveDamaged, BlockDamage } from './damage.ts';
import { decodePreamble, decodeTail, digestsOf, type BlockHeader, type BlockIndex, type PartEntry } from './layout.ts';
import type { ArchiveMessage } from './message.ts';
import { OpenedPart } from './part.ts';

/** Reads a whole block, checks every byte of it, and gives its parts in order. Throws ARCHIVE_DAMAGED, ARCHIVE_NEWER. */
export async function openBlock(key: string, body: Buffer): Promise<{ header: BlockHeader; parts: OpenedPart[] }> {
  try {
    decodePreamble(body);
    const tail = decodeTail(body, body.length);
    if ('bytesNeeded' in tail) throw new BlockDamage('its footer is longer than the block');
    const { computed, stored } = digestsOf(body);
    const { index } = tail;
    const parts: OpenedPart[] = [];
    for (const [number, entry] of index.parts.entries()) {
      parts.push(await openPart(index, number, body.subarray(entry.offset, entry.offset + entry.bytes)));
    }
    if (!computed.equals(stored)) throw new BlockDamage('the checksum of the whole is wrong');
    return { header: index.header, parts };
  } catch (error) {
    throw damaged(key, error);
  }
}

/** Opens one part: `bytes` are its own. Throws BlockDamage. */
export async function openPart(index: BlockIndex, number: number, bytes: Buffer): Promise<OpenedPart> {
  const entry = index.parts[number]!;
  const place = { part: number, offset: entry.offset };
  if (bytes.length !== entry.bytes) throw new BlockDamage(`it has ${bytes.length} of ${entry.bytes} bytes`, place);
  if (crc32(bytes) !== entry.crc) throw new BlockDamage('its checksum is wrong', place);
  try {
    const raw = await decompress(bytes, index.header.compression, entry.rawBytes);
    if (raw.length !== entry.rawBytes) throw new BlockDamage(`it opens to ${raw.length} of ${entry.rawBytes} bytes`);
    return checked(new OpenedPart(raw), entry);
  } catch (error) {
    throw new BlockDamage(error instanceof Error ? error.message : String(error), place);
  }
}

function checked(part: OpenedPart, entry: PartEntry): OpenedPart {
  const last = part.messages - 1;
  if (part.messages !== entry.messages || part.sequence(0) !== entry.firstSequence || part.sequence(last) !== entry.lastSequence)
    throw new BlockDamage('the part holds other messages than the index says');
  return part;
}

/** The error to throw for a failure while the block of that key was read. */
export function damaged(key: string, error: unknown): unknown {
  if (error instanceof BlockDamage) return new ArchiveDamaged(key, error.message, error.place);
  if (error instanceof GatewayError) return error;
  return new ArchiveDamaged(key, error instanceof Error ? error.message : String(error), {}, error);
}

/** Every message of a whole block, in order. */
export async function* readBlock(key: string, body: Buffer): AsyncGenerator<ArchiveMessage> {
  for (const part of (await openBlock(key, body)).parts) {
    for (let at = 0; at < part.messages; at++) yield part.message(at);
  }
}
