import { isTransient } from './errors.ts';
import type { Delivery, Message } from './strategy.ts';

/** A message on its way: acknowledged when its last item is settled (invariant 1). */
export type Held = { readonly delivery: Delivery; left: number; bytes: number; acknowledging: boolean };

/** The messages that are neither acknowledged nor given back, and what waits for them to change. */
export class HeldMessages {
  readonly #held = new Set<Held>();
  readonly #onSettled: (message: Message) => void;
  #bytes = 0;
  #waiters: (() => void)[] = [];

  constructor(onSettled: (message: Message) => void) {
    this.#onSettled = onSettled;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Opened bytes of all of them. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `items` must be settled before the message is; `bytes` is their size. */
  hold(delivery: Delivery, items: number, bytes: number): Held {
    const held: Held = { delivery, left: items, bytes, acknowledging: false };
    this.#bytes += bytes;
    this.#held.add(held);
    return held;
  }

  /** What it holds takes so many bytes more. */
  grow(held: Held, bytes: number): void {
    if (!this.#held.has(held)) return;
    held.bytes += bytes;
    this.#bytes += bytes;
  }

  /** Extends the time allowed for every one of them. */
  working(): void {
    for (const held of this.#held) held.delivery.working();
  }

  async acknowledge(held: Held): Promise<void> {
    if (!this.#held.has(held) || held.acknowledging) return;
    held.acknowledging = true;
    try {
      await held.delivery.ack();
      this.#onSettled(held.delivery.message);
    } catch (error) {
      // The effect is durable and only its acknowledgement is lost: the message comes again, and finds its work done.
      if (!isTransient(error)) throw error;
    } finally {
      this.#release(held);
    }
  }

  giveBack(held: Held): void {
    if (!this.#held.has(held) || held.acknowledging) return;
    held.delivery.retryLater(0);
    this.#release(held);
  }

  giveBackAll(): void {
    for (const held of this.#held) this.giveBack(held);
  }

  /** Resolves at the next change, here or told by `wake`. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  #release(held: Held): void {
    if (!this.#held.delete(held)) return;
    this.#bytes -= held.bytes;
    this.wake();
  }
}
