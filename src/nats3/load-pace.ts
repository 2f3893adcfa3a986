import type { LoadSpec } from './job.ts';

/** Shorter waits than this are saved up. */
const leastWaitMs = 2;

/** When a message may be published: by a rate, and by the distances in time that the originals had. Counts from the first message of a run. */
export class LoadPace {
  readonly #perMs: number;
  readonly #original: boolean;
  readonly #now: () => number;
  #start: { at: number; timestamp: number } | undefined;
  #messages = 0;

  constructor(spec: Pick<LoadSpec, 'rate' | 'replay'>, now: () => number = performance.now.bind(performance)) {
    this.#perMs = spec.rate === undefined ? Number.POSITIVE_INFINITY : spec.rate / 1000;
    this.#original = spec.replay === 'original';
    this.#now = now;
  }

  get isFree(): boolean {
    return !this.#original && this.#perMs === Number.POSITIVE_INFINITY;
  }

  /** Ms to wait before the next message, which was stored at `timestamp`; 0 for none. Counts the message. */
  waitMs(timestamp: number): number {
    if (this.isFree) return 0;
    const now = this.#now();
    this.#start ??= { at: now, timestamp };
    const byRate = this.#messages++ / this.#perMs;
    const byTime = this.#original ? timestamp - this.#start.timestamp : 0;
    const wait = this.#start.at + Math.max(byRate, byTime) - now;
    return wait < leastWaitMs ? 0 : wait;
  }
}
