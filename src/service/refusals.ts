import type { Refusal } from '../core/strategy.ts';
import type { Log } from './log.ts';

/** Kinds of refusal that are logged, each once. */
const kindsLogged = 1_000;

/** Logs dead letters: the first of a kind is worth a line, with an example; the rest is counted. */
export class Refusals {
  readonly #log: Log;
  readonly #kinds = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  tell(where: { index: string; id: string } | { subject: string }, { status, type, reason }: Refusal): void {
    const kind = `${'index' in where ? where.index : ''} ${type}`;
    if (this.#kinds.has(kind) || this.#kinds.size >= kindsLogged) return;
    this.#kinds.add(kind);
    const answered = status === 0 ? {} : { status };
    this.#log.warn({ ...where, ...answered, type, reason }, 'kept as a dead letter; further ones of this kind are only counted');
  }
}
