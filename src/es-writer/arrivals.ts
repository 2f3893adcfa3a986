import type { Message } from '../core/strategy.ts';

const tickMs = 1_000;

/** Remembers when messages came, as far as it matters for how late a write may be. */
export class Arrivals {
  readonly #now: () => number;
  readonly #arrivals = new WeakMap<Message, number>();
  readonly #ticking: NodeJS.Timeout;
  /** The last two looks at the clock. A message that is read may have waited in the socket, but no longer than since the earlier one. */
  #ticks: [number, number];

  constructor(now: () => number) {
    this.#now = now;
    const started = now();
    this.#ticks = [started, started];
    this.#ticking = setInterval(() => this.tick(), tickMs).unref();
  }

  /** A look at the clock. */
  tick(): void {
    this.#ticks = [this.#ticks[1], this.#now()];
  }

  /** To be called as soon as it is read. */
  note(message: Message): void {
    this.#arrivals.set(message, this.#ticks[0]);
  }

  /**
   * A time, in ms since 1970, at which nobody had been given a message that stands later in the stream. For a first delivery that is when it
   * was sent here, which is after the last look but one at the clock, even where this process was suspended in between. When a message
   * that comes again was first delivered is not known, only that the stream had it by then.
   */
  firstDelivered(message: Message): number {
    return message.deliveries === 1 ? (this.#arrivals.get(message) ?? message.timestamp) : message.timestamp;
  }

  stop(): void {
    clearInterval(this.#ticking);
  }
}
