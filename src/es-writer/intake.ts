import type { Delivery, Message, MessageSource } from '../core/strategy.ts';

export type IntakeSettings = {
  source: MessageSource;
  /** How often the time allowed for messages that wait here is extended. */
  workingEveryMs: number;
  /** Sees every delivery as it arrives; true takes it out of the flow, and its fate becomes the taker's. */
  divert: (delivery: Delivery) => boolean;
  now: () => number;
};

const tickMs = 1_000;

/**
 * Takes messages from the stream as they come, so that the time of their arrival is known and none runs out of its time while the
 * target is away. It holds what the source's window lets through, and no more.
 */
export class Intake implements MessageSource {
  readonly #settings: IntakeSettings;
  readonly #arrivals = new WeakMap<Message, number>();
  #queue: Delivery[] = [];
  /** The last two looks at the clock. A message that is read may have waited in the socket, but no longer than since the earlier one. */
  #ticks: [number, number];
  #workingAt: number;
  #ended = false;
  #failure: unknown;
  #wake: () => void = () => {};

  constructor(settings: IntakeSettings) {
    this.#settings = settings;
    this.#workingAt = settings.now();
    this.#ticks = [this.#workingAt, this.#workingAt];
  }

  /**
   * A time, in ms since 1970, at which nobody had been given a message that stands later in the stream. For a first delivery that is when it
   * was sent here, which is after the last look but one at the clock, even where this process was suspended in between. When a message
   * that comes again was first delivered is not known, only that the stream had it by then.
   */
  firstDelivered(message: Message): number {
    return message.deliveries === 1 ? (this.#arrivals.get(message) ?? message.timestamp) : message.timestamp;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
    void this.#read();
    const ticking = setInterval(() => this.#tick(), tickMs);
    try {
      for (;;) {
        const next = this.#queue.shift();
        if (next !== undefined) yield next;
        else if (this.#ended) break;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      clearInterval(ticking);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #tick(): void {
    const now = this.#settings.now();
    this.#ticks = [this.#ticks[1], now];
    if (now - this.#workingAt < this.#settings.workingEveryMs) return;
    this.#workingAt = now;
    for (const delivery of this.#queue) delivery.working();
  }

  async #read(): Promise<void> {
    try {
      for await (const delivery of this.#settings.source) {
        this.#arrivals.set(delivery.message, this.#ticks[0]);
        if (this.#settings.divert(delivery)) continue;
        this.#queue.push(delivery);
        this.#wake();
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#ended = true;
    this.#wake();
  }

  async stop(): Promise<void> {
    await this.#settings.source.stop();
    for (const delivery of this.#queue) delivery.retryLater(0);
    this.#queue = [];
  }
}
