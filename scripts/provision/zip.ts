import { openSync, closeSync, fstatSync, readSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import { crc32, inflateRawSync } from 'node:zlib';

/** An entry of a zip archive, as its central directory lists it. */
export type ZipEntry = { name: string; method: number; crc: number; compressedBytes: number; bytes: number; offset: number };

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const END_BYTES_MAX = 22 + 0xffff;

/** The entries of a zip file (wheel and jar are zips too), directories left out. Zip64 is refused: none of our sources uses it. */
export function zipEntries(path: string): ZipEntry[] {
  return withFile(path, (file) => {
    const { size } = fstatSync(file);
    const tail = read(file, Math.max(0, size - END_BYTES_MAX), Math.min(size, END_BYTES_MAX));
    let at = tail.length - 22;
    while (at >= 0 && tail.readUInt32LE(at) !== END_SIGNATURE) at -= 1;
    if (at < 0) throw new Error(`${path} is not a zip file, or was cut off`);
    const count = tail.readUInt16LE(at + 10);
    const start = tail.readUInt32LE(at + 16);
    if (count === 0xffff || start === 0xffffffff) throw new Error(`${path} is a zip64 file, which this reader does not know`);
    return entriesOf(read(file, start, tail.readUInt32LE(at + 12)), count).filter((entry) => !entry.name.endsWith('/'));
  });
}

function entriesOf(directory: Buffer, count: number): ZipEntry[] {
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i += 1) {
    if (directory.readUInt32LE(at) !== ENTRY_SIGNATURE) throw new Error('the zip directory is damaged');
    const nameBytes = directory.readUInt16LE(at + 28);
    entries.push({
      name: directory.toString('utf8', at + 46, at + 46 + nameBytes),
      method: directory.readUInt16LE(at + 10),
      crc: directory.readUInt32LE(at + 16),
      compressedBytes: directory.readUInt32LE(at + 20),
      bytes: directory.readUInt32LE(at + 24),
      offset: directory.readUInt32LE(at + 42),
    });
    at += 46 + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return entries;
}

/**
 * Writes entries below `target`, each under the name that `place` gives it (undefined leaves it out), checksum verified.
 * Returns the number of files written.
 */
export function unzip(path: string, target: string, place: (name: string) => { to: string; mode: number } | undefined): number {
  const entries = zipEntries(path);
  return withFile(path, (file) => {
    let files = 0;
    for (const entry of entries) {
      const placed = place(entry.name);
      if (placed === undefined) continue;
      const to = normalize(placed.to);
      if (to.startsWith('..') || to.startsWith(sep)) throw new Error(`${path} holds the unsafe name ${entry.name}`);
      mkdirSync(dirname(join(target, to)), { recursive: true });
      writeFileSync(join(target, to), contentOf(file, entry), { mode: placed.mode });
      files += 1;
    }
    return files;
  });
}

function contentOf(file: number, entry: ZipEntry): Buffer {
  const header = read(file, entry.offset, 30);
  const start = entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  const raw = read(file, start, entry.compressedBytes);
  const content = entry.method === 0 ? raw : inflateRawSync(raw);
  if (content.length !== entry.bytes || crc32(content) !== entry.crc) throw new Error(`${entry.name} is damaged in the zip file`);
  return content;
}

function read(file: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  if (readSync(file, buffer, 0, length, position) !== length) throw new Error('the zip file was cut off');
  return buffer;
}

function withFile<T>(path: string, work: (file: number) => T): T {
  const file = openSync(path, 'r');
  try {
    return work(file);
  } finally {
    closeSync(file);
  }
}
