import { describeError } from '../core/errors.ts';
import type { CheckReport } from './run.ts';

/** Collects what `--check` of a program finds, a line a finding. */
export class Report {
  readonly #lines: string[] = [];
  #ok = true;

  say(ok: boolean, line: string): void {
    this.#lines.push(`${ok ? 'ok  ' : 'FAIL'} ${line}`);
    this.#ok &&= ok;
  }

  /** Something to know that does not keep the program from working. */
  warn(line: string): void {
    this.#lines.push(`warn ${line}`);
  }

  /** What the work comes to; where it fails, why is a finding. */
  async attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.say(false, describeError(error));
      return undefined;
    }
  }

  done(): CheckReport {
    return { ok: this.#ok, lines: this.#lines };
  }
}
