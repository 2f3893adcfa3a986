import type { Delivery, MessageSource } from './strategy.ts';

export type IntakeSettings = {
  source: MessageSource;
  /** How often the time allowed for messages that wait here is extended. */
  workingEveryMs: number;
  /** Sees every delivery as it arrives, and answers what is to be handed on: undefined where its fate is the taker's now. */
  take(delivery: Delivery): Delivery | undefined;
};

/**
 * Takes messages from the stream as they come, so that none runs out of its time while the other side is away or the work is paused. It
 * holds what the source's window lets through, and no more.
 */
export class Intake implements MessageSource {
  readonly #settings: IntakeSettings;
  #queue: Delivery[] = [];
  #ended = false;
  #paused = false;
  #failure: unknown;
  #wake: () => void = () => {};

  constructor(settings: IntakeSettings) {
    this.#settings = settings;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Hands on nothing more; what was handed on goes its way. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
    void this.#read();
    const working = setInterval(() => {
      for (const delivery of this.#queue) delivery.working();
    }, this.#settings.workingEveryMs);
    try {
      for (;;) {
        const next = this.#paused ? undefined : this.#queue.shift();
        if (next !== undefined) yield next;
        else if (this.#ended) break;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      clearInterval(working);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #read(): Promise<void> {
    try {
      for await (const delivery of this.#settings.source) {
        const taken = this.#settings.take(delivery);
        if (taken === undefined) continue;
        this.#queue.push(taken);
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
    this.#ended = true;
    this.#wake();
  }
}
