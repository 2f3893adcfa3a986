import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

const plainEveryMs = 10_000;
/** Of bars and of the sparklines below them. */
export const barWidth = 32;
const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const heights = '▁▂▃▄▅▆▇█';
const wrapOff = '\u001b[?7l';
const wrapOn = '\u001b[?7h';
const hideCursor = '\u001b[?25l';
const showCursor = '\u001b[?25h';

/**
 * Lines that stay, and below them a block of live lines that is painted over. Where there is no terminal, the live block is a plain
 * line now and then, without escape codes.
 */
export class Screen {
  readonly #out: NodeJS.WriteStream;
  #live: readonly string[] = [];
  #plainAt = 0;

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out;
  }

  get isTerminal(): boolean {
    return this.#out.isTTY;
  }

  /** Colour where the terminal and NO_COLOR allow it. */
  paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#out });
  }

  /** A line about something that went well. */
  tick(text: string): string {
    return `  ${this.paint('green', '✓')} ${text}`;
  }

  heading(text: string): void {
    this.line('', this.paint('bold', text));
  }

  /** Adds lines above the live block. */
  line(...lines: readonly string[]): void {
    const live = this.#live;
    this.#write([...lines, ...live], live);
  }

  /** Replaces the live block. Without a terminal its first line is printed every ten seconds. */
  live(...lines: readonly string[]): void {
    if (this.isTerminal) return this.#write(lines, lines);
    const now = Date.now();
    if (now - this.#plainAt < plainEveryMs) return;
    if (this.#plainAt !== 0) this.#out.write(`${lines[0]}\n`);
    this.#plainAt = now;
  }

  /** Replaces the live block by lines that stay. */
  settle(...lines: readonly string[]): void {
    this.#plainAt = 0;
    this.#write(lines, []);
  }

  /** Gives the terminal back as it was. */
  close(): void {
    if (this.isTerminal) this.#out.write(wrapOn + showCursor);
  }

  /** Writes over the live block; the last lines written are the new one. Long lines are cut by the terminal, not wrapped. */
  #write(lines: readonly string[], live: readonly string[]): void {
    if (!this.isTerminal) {
      this.#out.write(lines.map((line) => `${line}\n`).join(''));
      return;
    }
    const up = this.#live.length === 0 ? '' : `\u001b[${this.#live.length}A`;
    this.#out.write(`${hideCursor}${wrapOff}\r${up}\u001b[J${lines.map((line) => `${line}\n`).join('')}`);
    this.#live = live;
  }
}

/** A bar of fixed width; `part` from 0 to 1. */
export function bar(part: number): string {
  const filled = Math.max(0, Math.min(1, part)) * barWidth;
  const whole = Math.floor(filled);
  return ('█'.repeat(whole) + eighths[Math.floor((filled - whole) * 8)]!).padEnd(barWidth, '░');
}

/** One sign a value, the highest of them a full block; `floor` is the least value that is one. */
export function sparkline(values: readonly number[], floor: number): string {
  const top = Math.max(floor, ...values);
  return values.map((value) => heights[Math.min(7, Math.floor((value / top) * 8))]).join('');
}

export function number(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function seconds(ms: number): string {
  return ms < 950 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 9_950 ? 1 : 0)} s`;
}
