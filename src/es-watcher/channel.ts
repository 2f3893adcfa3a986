import type { ChangeList } from '../core/change-block.ts';
import type { IndexDrop } from '../core/event.ts';
import type { ChangeBatch } from '../core/strategy.ts';

/** Hands batches from the followers to whoever iterates, and the verdict back. Bounded by the page slots of the followers. */
export class BatchChannel implements AsyncIterable<ChangeBatch> {
  readonly #waiting: ChangeBatch[] = [];
  #wake: (() => void) | undefined;
  #closed: Error | undefined;

  /** Resolves with the stream sequence once the batch is stored. */
  emit(batch: { events: ChangeList; origin: string; drop?: IndexDrop }): Promise<number> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return new Promise((stored, failed) => {
      this.#waiting.push({ ...batch, stored, failed });
      this.#wake?.();
    });
  }

  /** Ends the iteration; what is still waiting fails with `reason`. */
  close(reason: Error): void {
    this.#closed ??= reason;
    for (const batch of this.#waiting.splice(0)) batch.failed(reason);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ChangeBatch> {
    while (this.#closed === undefined) {
      const batch = this.#waiting.shift();
      if (batch !== undefined) yield batch;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
