import { encodeToken, decodeToken } from '../core/subject.ts';

/** How a block is laid out; also the ending of its key. `ndjson` may be compressed as a whole. */
export type BlockFormat = 'n3b' | 'ndjson';
export type Compression = 'zstd' | 'gzip' | 'none';

/** What the key of a block tells. */
export type BlockName = {
  /** Folders before the stream's, without slashes at either end; empty for none. */
  prefix: string;
  stream: string;
  job: string;
  firstSequence: number;
  lastSequence: number;
  format: BlockFormat;
  /** Undefined for n3b: the block itself tells. */
  compression: Compression | undefined;
  /** Tells apart blocks of one range whose contents differ: see `storeBlock`. */
  variant: string | undefined;
};

const sequenceDigits = 20;

/** A year of five digits would break the order of keys; streams do not live that long. */
const pattern =
  /^(?:(.*)\/)?([^/]+)\/([^/]+)\/\d{4}\/\d\d\/\d\d\/\d\d\/(\d{20})-(\d+)(?:\.([0-9a-f]{16}))?\.(n3b|ndjson|ndjson\.gz|ndjson\.zst)$/;

/** `a/b` of `/a/b/`, `a//b` and the like: no empty folder names. */
export function trimPrefix(prefix: string): string {
  return prefix.split('/').filter(Boolean).join('/');
}

/** A name as a folder: NATS's own characters and slashes are percent-encoded. */
function folder(name: string): string {
  return encodeToken(name).replaceAll('/', '%2F').replaceAll('\\', '%5C');
}

/** The folder of all blocks of a stream, or of one job of it, or of everything below a prefix; ends with `/` unless it is empty. */
export function blockFolder(prefix: string, stream?: string, job?: string): string {
  const names = [
    trimPrefix(prefix),
    ...(stream === undefined ? [] : [folder(stream), ...(job === undefined ? [] : [folder(job)])]),
  ];
  return names.map((name) => (name === '' ? '' : `${name}/`)).join('');
}

/** `firstTimestamp`: of the block's first message, in ms since 1970. */
export function blockKey(name: Omit<BlockName, 'variant'> & { variant?: string | undefined; firstTimestamp: number }): string {
  const [year, month, day, hour] = new Date(name.firstTimestamp).toISOString().split(/[-T:]/);
  const first = String(name.firstSequence).padStart(sequenceDigits, '0');
  const variant = name.variant === undefined ? '' : `.${name.variant}`;
  const file = `${first}-${name.lastSequence}${variant}.${ending(name.format, name.compression)}`;
  return `${blockFolder(name.prefix, name.stream, name.job)}${year}/${month}/${day}/${hour}/${file}`;
}

function ending(format: BlockFormat, compression: Compression = 'none'): string {
  return format === 'n3b' ? 'n3b' : `ndjson${{ zstd: '.zst', gzip: '.gz', none: '' }[compression]}`;
}

/** Undefined for keys that are no block's. */
export function parseBlockKey(key: string): BlockName | undefined {
  const match = pattern.exec(key);
  if (match === null) return undefined;
  const [, prefix = '', stream, job, first, last, variant, end] = match;
  try {
    return {
      prefix,
      stream: decodeToken(stream!),
      job: decodeToken(job!),
      firstSequence: Number(first),
      lastSequence: Number(last),
      format: end === 'n3b' ? 'n3b' : 'ndjson',
      compression: compressionByEnding[end!],
      variant,
    };
  } catch {
    return undefined;
  }
}

const compressionByEnding: Record<string, Compression> = { ndjson: 'none', 'ndjson.gz': 'gzip', 'ndjson.zst': 'zstd' };
