import { parseBytes, parseDuration, formatBytes, formatDuration } from './units.ts';

/** A value as it stands in a flag, a variable or the file, before its kind has read it. Scalars are text: `007` stays `007`. */
export type Given = string | readonly Given[] | { readonly [key: string]: Given };

/** What a kind makes of a given value: the value, or what it would have accepted. */
type Parsed<T> = { value: T } | { wrong: string };

/** How values of one kind are written, read and shown. Kinds are values: they compose and are tested without a program. */
export type Kind<T> = {
  /** Stands for the value in `--help`: `--poll-interval DURATION`. Empty where a flag takes no value. */
  readonly placeholder: string;
  /** Never shown: not in errors, not by `--print-config`, not in logs. May come from the file that `NAME_FILE` names. */
  readonly secret?: true;
  /** Bounds, for the reference page: `1 to 10000`. */
  readonly range?: string;
  /** May be given several times; the values are joined. */
  readonly many?: boolean;
  parse(given: Given): Parsed<T>;
  /** As it would be written in the file; reads back to the same value. */
  show(value: T): string | readonly string[];
};

/** A kind of a single text. `read` returns undefined for what it does not accept. */
function scalar<T>(
  placeholder: string,
  accepts: string,
  read: (text: string) => T | undefined,
  show: (value: T) => string,
): Kind<T> {
  return {
    placeholder,
    parse(given) {
      const value = typeof given === 'string' ? read(given.trim()) : undefined;
      return value === undefined ? { wrong: accepts } : { value };
    },
    show,
  };
}

/** Text that is not empty; `pattern` and `accepts` narrow it. */
export function text(placeholder = 'TEXT', pattern = /./s, accepts = 'text that is not empty'): Kind<string> {
  return scalar(placeholder, accepts, (given) => (pattern.test(given) ? given : undefined), String);
}

/** Taken as it is, white space at its ends included. */
export function secret(): Kind<string> {
  return {
    placeholder: 'SECRET',
    secret: true,
    parse: (given) => (typeof given === 'string' && given !== '' ? { value: given } : { wrong: 'text that is not empty' }),
    show: () => '***',
  };
}

export function path(placeholder = 'PATH'): Kind<string> {
  return text(placeholder, /./s, 'the path of a file or directory');
}

export function integer(min: number, max: number): Kind<number> {
  const read = (given: string) => (/^\d+$/.test(given) ? within(Number(given), min, max) : undefined);
  const range = `${min} to ${max}`;
  return { ...scalar('N', `a whole number from ${range}`, read, String), range };
}

export function boolean(): Kind<boolean> {
  const words: Record<string, boolean | undefined> = {
    true: true,
    yes: true,
    on: true,
    '1': true,
    false: false,
    no: false,
    off: false,
    '0': false,
  };
  return scalar('', 'true or false', (given) => words[given.toLowerCase()], String);
}

/** Milliseconds. Bounds are written as durations. */
export function duration(min = '0', max = '365d'): Kind<number> {
  const accepts = 'a duration such as 100 (milliseconds), 250ms, 30s or 1h30m';
  return measure('DURATION', accepts, min, max, parseDuration, formatDuration);
}

/** Bytes. Bounds are written as sizes. */
export function bytes(min = '0', max = '4096TB'): Kind<number> {
  return measure('SIZE', 'a size such as 4096 (bytes), 512KB or 8MB', min, max, parseBytes, formatBytes);
}

function measure(
  placeholder: string,
  accepts: string,
  min: string,
  max: string,
  read: (text: string) => number | undefined,
  show: (value: number) => string,
): Kind<number> {
  const [least, most] = [read(min)!, read(max)!];
  const kind = scalar(placeholder, `${accepts}, from ${min} to ${max}`, (given) => within(read(given), least, most), show);
  return { ...kind, range: `${min} to ${max}` };
}

export function oneOf<const W extends string>(...words: readonly W[]): Kind<W> {
  return scalar(words.join('|'), `one of ${words.join(', ')}`, (given) => words.find((word) => word === given), String);
}

/** A URL with one of the schemes; without one, the first is taken. Kept as written, but for slashes at its end. */
export function url(...schemes: readonly string[]): Kind<string> {
  const accepts = `a URL such as ${schemes[0]}://host:port (${schemes.map((scheme) => `${scheme}://`).join(', ')})`;
  return scalar('URL', accepts, (given) => readUrl(given, schemes), String);
}

function readUrl(given: string, schemes: readonly string[]): string | undefined {
  const whole = given.includes('://') ? given : `${schemes[0]}://${given}`;
  const parsed = URL.canParse(whole) ? new URL(whole) : undefined;
  if (parsed === undefined || parsed.hostname === '' || parsed.search !== '' || parsed.hash !== '') return undefined;
  return schemes.includes(parsed.protocol.slice(0, -1)) ? whole.replace(/\/+$/, '') : undefined;
}

/** Where a server listens, or that it does not. */
export type ListenAddress = { host: string; port: number } | 'off';

/** `HOST:PORT`, `[::1]:PORT`, `:PORT` (every address of the machine), port 0 for any free one, or `off`. */
export function listen(): Kind<ListenAddress> {
  return scalar('HOST:PORT', 'HOST:PORT such as 127.0.0.1:8081, :8081 for every address, or off', readListen, formatListen);
}

function readListen(given: string): ListenAddress | undefined {
  if (given === 'off') return 'off';
  const match = /^(\[[0-9a-f:.]+\]|[^\s:[\]/]*):(\d{1,5})$/i.exec(given);
  if (match === null || Number(match[2]) > 65_535) return undefined;
  return { host: match[1]!.replace(/^\[|\]$/g, '') || '0.0.0.0', port: Number(match[2]) };
}

export function formatListen(address: ListenAddress): string {
  if (address === 'off') return 'off';
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Comma-separated, or a YAML list; the flag may be given several times. Empty is an empty list unless `atLeast` is 1. */
export function listOf<T>(item: Kind<T>, atLeast: 0 | 1 = 0): Kind<readonly T[]> {
  return {
    placeholder: `${item.placeholder},…`,
    many: true,
    parse(given) {
      const values: T[] = [];
      for (const part of items(given)) {
        const parsed = item.parse(part);
        if ('wrong' in parsed) return { wrong: `a comma-separated list, each item ${parsed.wrong}` };
        values.push(parsed.value);
      }
      return values.length < atLeast ? { wrong: 'a comma-separated list of one or more' } : { value: values };
    },
    show: (values) => values.map((value) => [item.show(value)].flat().join(',')),
  };
}

function items(given: Given): Given[] {
  if (Array.isArray(given)) return [...given];
  if (typeof given !== 'string') return [given];
  return given
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}
