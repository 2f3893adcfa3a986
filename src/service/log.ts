import { destination, pino, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';
import { hideSecrets } from './hide-secrets.ts';

export type Log = Logger;

export type LogOptions = {
  program: string;
  level: string;
  /** `auto` is pretty on a terminal and JSON elsewhere. */
  format: 'auto' | 'json' | 'pretty';
  /** Values that must not appear in any line, wherever they come from. */
  secrets?: readonly string[];
  /** 1 is stdout, where services in containers log; 2 where stdout is taken by a report. */
  descriptor?: 1 | 2;
  /** Instead of a descriptor, for tests. */
  stream?: DestinationStream;
};

const HIDDEN_KEYS = ['authorization', 'password', 'token', 'apiKey', 'secret', 'headers.authorization', 'headers.Authorization'];

/**
 * One JSON line an event: `level` as a word, `time` in ISO form, `program`, `msg`, and the event's own fields. Lines are written at
 * once and in this thread: the last line before an exit is the one that matters, and there is no log line a document.
 */
export async function createLog(options: LogOptions): Promise<Log> {
  return pino(
    {
      level: options.level,
      base: { program: options.program },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      redact: { paths: [...HIDDEN_KEYS, ...HIDDEN_KEYS.map((key) => `*.${key}`)], censor: '***' },
      hooks: { streamWrite: (line) => hideSecrets(line, options.secrets ?? []) },
    },
    options.stream ?? (await openStream(options)),
  );
}

async function openStream({ format, descriptor = 1 }: LogOptions): Promise<DestinationStream> {
  const terminal = (descriptor === 1 ? process.stdout : process.stderr).isTTY;
  if (format === 'json' || (format === 'auto' && !terminal)) return destination({ dest: descriptor, sync: true });
  const { default: pretty } = await import('pino-pretty');
  return pretty({
    destination: descriptor,
    sync: true,
    colorize: wantsColor(terminal),
    ignore: 'program',
    translateTime: 'SYS:HH:MM:ss.l',
  });
}

/** https://force-color.org and https://no-color.org: what was asked for wins over what the terminal is. */
function wantsColor(terminal: boolean): boolean {
  const { FORCE_COLOR: force, NO_COLOR: none } = process.env;
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false';
  return terminal && (none === undefined || none === '');
}
