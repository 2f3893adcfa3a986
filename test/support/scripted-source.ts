import type { Delivery, Message, MessageSource } from '../../src/core/strategy.ts';

export type Settlement = 'ack' | 'retryLater';

/** Delivers the given messages, again after `retryLater`, and ends once all are acknowledged (or never, with `endless`). Records every settlement. */
export class ScriptedSource implements MessageSource {
  /** How each delivery of each message was settled, by sequence. */
  readonly settlements = new Map<number, Settlement[]>();
  readonly working = new Map<number, number>();
  /** Deliveries that were settled twice. */
  readonly settledTwice: number[] = [];
  unsettled = 0;
  delivered = 0;
  onAck: (message: Message) => Promise<void> = async () => {};
  readonly #endless: boolean;
  readonly #waiting: Message[];
  #unacknowledged: number;
  #stopped = false;
  #wake: () => void = () => {};

  constructor(payloads: readonly string[], options: { endless?: boolean } = {}) {
    this.#endless = options.endless ?? false;
    this.#unacknowledged = payloads.length;
    this.#waiting = payloads.map((payload, at) => message(payload, at + 1));
  }

  add(payload: string, sequence: number): void {
    this.#waiting.push(message(payload, sequence));
    this.#unacknowledged++;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
    for (;;) {
      if (this.#stopped || (!this.#endless && this.#unacknowledged === 0)) return;
      const next = this.#waiting.shift();
      if (next === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      else yield this.#deliver(next);
    }
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    return Promise.resolve();
  }

  #deliver(message: Message): Delivery {
    let settled = false;
    this.unsettled++;
    this.delivered++;
    const settle = (how: Settlement): void => {
      if (settled) this.settledTwice.push(message.sequence);
      settled = true;
      this.unsettled--;
      this.settlements.set(message.sequence, [...(this.settlements.get(message.sequence) ?? []), how]);
    };
    return {
      message,
      ack: async () => {
        settle('ack');
        await this.onAck(message);
        this.#unacknowledged--;
        this.#wake();
      },
      retryLater: () => {
        settle('retryLater');
        this.#waiting.push({ ...message, deliveries: message.deliveries + 1 });
        this.#wake();
      },
      working: () => this.working.set(message.sequence, (this.working.get(message.sequence) ?? 0) + 1),
    };
  }
}

function message(payload: string, sequence: number): Message {
  return { subject: 'es.a.b.index', headers: new Map(), payload: Buffer.from(payload), sequence, timestamp: 0, deliveries: 1 };
}
