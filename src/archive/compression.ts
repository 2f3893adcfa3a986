import { promisify } from 'node:util';
import { constants, gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib';
import type { Compression } from './key.ts';

const zstdPack = promisify(zstdCompress);
const zstdOpen = promisify(zstdDecompress);
const gzipPack = promisify(gzip);
const gzipOpen = promisify(gunzip);

/** Beyond these, text costs far more time than it saves bytes (docs/benchmarks.md). */
export const defaultLevel: Record<Compression, number> = { zstd: 3, gzip: 3, none: 0 };

/** The smallest and the largest piece in which bytes come out of zlib: each costs a visit to another thread, and memory. */
const chunkBytesMin = 64 * 1024;
const chunkBytesMax = 1024 * 1024;

/**
 * Done by another thread; resolves with bytes that hold no more memory than they need. `checksum`: zstd is to bring its own along; gzip
 * always does.
 */
export async function compress(raw: Buffer, compression: Compression, level: number, checksum: boolean): Promise<Buffer> {
  if (compression === 'none') return Buffer.from(raw);
  // Text comes out in one piece.
  const chunkSize = Math.min(Math.max(Math.ceil(raw.length / 4), chunkBytesMin), chunkBytesMax);
  if (compression === 'gzip') return compact(await gzipPack(raw, { level, chunkSize }));
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: checksum };
  return compact(await zstdPack(raw, { params, pledgedSrcSize: raw.length, chunkSize }));
}

/** `rawBytes`: what it must open to; whatever opens to more is damaged and not opened further. Throws zlib's own errors. */
export async function decompress(bytes: Buffer, compression: Compression, rawBytes: number): Promise<Buffer> {
  if (compression === 'none') return bytes;
  // A byte more than is needed: zlib takes another chunk where one is exactly full.
  const options = { chunkSize: Math.max(chunkBytesMin, rawBytes + 1), maxOutputLength: rawBytes + 1 };
  return compression === 'zstd' ? zstdOpen(bytes, options) : gzipOpen(bytes, options);
}

/** A result of one piece is a view into the whole piece. */
function compact(bytes: Buffer): Buffer {
  return bytes.buffer.byteLength > bytes.length + bytes.length / 4 ? Buffer.from(bytes) : bytes;
}
