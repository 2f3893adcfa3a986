import { backoffMs } from '../core/backoff.ts';
import type { Clock } from './clock.ts';

const pauses = { minMs: 20, maxMs: 2_000 };

/**
 * How many messages may be on their way. A refusal stops everything for a while that doubles; then one message goes first, and with every
 * message stored one more may go, so that a full stream is probed and not flooded.
 */
export class Pace {
  readonly #most: number;
  readonly #clock: Clock;
  readonly #resume: () => void;
  #allowance: number;
  #blockedUntil = 0;
  #refusals = 0;
  #cancel: (() => void) | undefined;

  /** `resume` is called when a pause is over. */
  constructor(most: number, clock: Clock, resume: () => void) {
    this.#most = most;
    this.#allowance = most;
    this.#clock = clock;
    this.#resume = resume;
  }

  /** Volleys refused in a row. */
  get refusals(): number {
    return this.#refusals;
  }

  allows(onTheirWay: number): boolean {
    return onTheirWay < this.#allowance && this.#clock.now() >= this.#blockedUntil;
  }

  stored(): void {
    this.#refusals = 0;
    if (this.#allowance < this.#most) this.#allowance++;
  }

  /** Refusals of one volley count once. */
  refused(): void {
    this.#allowance = 1;
    const now = this.#clock.now();
    if (now < this.#blockedUntil) return;
    const wait = backoffMs(++this.#refusals, pauses);
    this.#blockedUntil = now + wait;
    this.#cancel?.();
    this.#cancel = this.#clock.after(wait, this.#resume);
  }

  /** Ends the pause. */
  kick(): void {
    this.#blockedUntil = 0;
  }

  stop(): void {
    this.#cancel?.();
  }
}
