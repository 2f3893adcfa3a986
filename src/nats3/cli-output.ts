import { stripVTControlCharacters } from 'node:util';
import { formatBytes } from '../service/units.ts';

/** Where a command writes. Results go to `out`, what is only for a person watching to `err`. */
export type Screen = { out: NodeJS.WriteStream; err: NodeJS.WriteStream; json: boolean };

/** https://no-color.org and https://force-color.org. */
export function colored({ isTTY }: NodeJS.WriteStream, environment: NodeJS.ProcessEnv = process.env): boolean {
  const { FORCE_COLOR: force, NO_COLOR: none } = environment;
  if (none !== undefined && none !== '') return false;
  return force !== undefined && force !== '' ? force !== '0' : isTTY;
}

const colors: Record<string, number> = { running: 32, done: 36, paused: 33, degraded: 33, failed: 31 };

/** A status as it is shown: in color on a terminal. */
export function statusText(status: string, color: boolean): string {
  const code = colors[status];
  return color && code !== undefined ? `\u001b[${code}m${status}\u001b[0m` : status;
}

function width(text: string): number {
  return stripVTControlCharacters(text).length;
}

/** Columns as wide as their widest cell; those of numbers are aligned to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) => Math.max(width(title), ...rows.map((row) => width(row[at] ?? ''))));
  const isNumeric = head.map((_, at) => rows.length > 0 && rows.every((row) => /^[\d.,]*( ?[KMGT]?B)?$/.test(row[at] ?? '')));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => {
        const fill = ' '.repeat(widths[at]! - width(cell));
        return isNumeric[at] === true ? fill + cell : cell + fill;
      })
      .join('  ')
      .trimEnd();
  return `${[line(head), ...rows.map(line)].join('\n')}\n`;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** To three digits: `12.3 MB`. */
export function size(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let at = 0;
  let value = bytes;
  for (; value >= 1024 && at < units.length - 1; at++) value /= 1024;
  return at === 0 ? `${formatBytes(bytes)} B`.replace(/[KMGT]?B B$/, 'B') : `${value.toPrecision(3)} ${units[at]}`;
}

const barColumns = 24;

/** One line that is written over and over, on a terminal only. */
export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #shown: boolean;

  constructor({ err, json }: Screen) {
    this.#stream = err;
    this.#shown = err.isTTY && !json;
  }

  /** `part`: from 0 to 1, or undefined where the end is not known. */
  show(part: number | undefined, text: string): void {
    if (!this.#shown) return;
    const filled = part === undefined ? 0 : Math.round(Math.min(1, Math.max(0, part)) * barColumns);
    const bar = part === undefined ? '' : `[${'#'.repeat(filled).padEnd(barColumns, '.')}] `;
    this.#stream.write(`\r\u001b[K${bar}${text}`.slice(0, (this.#stream.columns || 100) + 4));
  }

  end(): void {
    if (this.#shown) this.#stream.write('\r\u001b[K');
  }
}
