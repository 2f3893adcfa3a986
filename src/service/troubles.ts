import { describeError, GatewayError } from '../core/errors.ts';
import type { Log } from './log.ts';

type Told = { at: string; code: string; message: string };

/** What keeps a program from its work, each trouble under a name: told when it begins, when it changes and when it is over. */
export class Troubles {
  readonly #log: Log;
  readonly #lasting = new Map<string, { code: string; text: string }>();
  #last: Told | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The trouble of that name lasts for this reason; undefined: it is over. */
  tell(about: string, error: unknown): void {
    const before = this.#lasting.get(about);
    if (error === undefined) {
      if (before === undefined) return;
      this.#lasting.delete(about);
      this.#log.info({ about }, 'going on');
      return;
    }
    const code = error instanceof GatewayError ? error.code : 'UNEXPECTED';
    const text = describeError(error);
    this.#lasting.set(about, { code, text });
    this.#remember(code, text);
    if (before?.code !== code) this.#log.warn({ about, code, ...(error instanceof GatewayError ? {} : { err: error }) }, text);
  }

  /** Something to know that does not last. */
  notice(error: GatewayError): void {
    this.#remember(error.code, error.message);
    this.#log.warn({ code: error.code }, describeError(error));
  }

  #remember(code: string, message: string): void {
    this.#last = { at: new Date().toISOString(), code, message };
  }

  get texts(): string[] {
    return [...this.#lasting.values()].map(({ text }) => text);
  }

  get last(): Told | undefined {
    return this.#last;
  }
}
