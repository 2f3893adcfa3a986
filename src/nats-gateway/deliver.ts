import { describeError, GatewayError } from '../core/errors.ts';
import type { Outcome } from '../core/strategy.ts';
import type { Observer } from './observer.ts';
import type { Output } from './outputs.ts';
import type { GatewayItem, Outgoing, Rewriter } from './rewriter.ts';

export type DelivererParts = {
  output(name: string): Output;
  rewriter: Pick<Rewriter, 'open'>;
  observer: Observer;
};

/** Publishes what came of messages. A message is stored when every output holds its part of it. */
export class Deliverer {
  readonly #parts: DelivererParts;
  /** Messages that turned out too large when they were sent: a server's limit was lowered since. They are made once more. */
  readonly #remade = new WeakSet<GatewayItem>();

  constructor(parts: DelivererParts) {
    this.#parts = parts;
  }

  /** One outcome an item. The messages of a call are sent in their order, before anything is waited for. */
  async deliver(items: readonly GatewayItem[]): Promise<Outcome[]> {
    const startedAt = performance.now();
    const outcomes = await Promise.all(items.map((item) => this.#deliverOne(item)));
    this.#parts.observer.published(performance.now() - startedAt);
    return outcomes;
  }

  async #deliverOne(item: GatewayItem): Promise<Outcome> {
    if (item.is === 'refused') return { is: 'refused', refusal: item.refusal };
    const settled = await Promise.allSettled(item.outgoing.map((outgoing) => this.#publish(outgoing)));
    const failed = settled.find((one) => one.status === 'rejected');
    if (failed === undefined) return { is: 'stored' };
    const reason: unknown = failed.reason;
    if (!(reason instanceof GatewayError) || reason.code !== 'MESSAGE_TOO_LARGE') {
      return { is: 'busy', status: 0, reason: describeError(reason) };
    }
    if (this.#remade.has(item))
      return { is: 'refused', refusal: { status: 0, type: reason.code, reason: describeError(reason) } };
    this.#remade.add(item);
    const [first, ...others] = await this.#parts.rewriter.open(item.message);
    if (first?.is === 'forward' && others.length === 0) item.outgoing = first.outgoing;
    return { is: 'busy', status: 0, reason: describeError(reason) };
  }

  async #publish({ output: name, message, reference }: Outgoing): Promise<void> {
    const output = this.#parts.output(name);
    const about = `output ${name}`;
    try {
      const { sequence } = await output.publish(message);
      if (reference !== undefined) await (await output.documents()).stored(reference, sequence);
      this.#parts.observer.trouble(about, undefined);
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'GATEWAY_STOPPING') this.#parts.observer.trouble(about, error);
      throw error;
    }
  }
}
