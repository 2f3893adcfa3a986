import { deleteVersion, writeVersion } from '../../src/core/version.ts';
import type { ChangeEvent } from '../../src/core/event.ts';
import type { ChangeBatch, ChangeSource } from '../../src/core/strategy.ts';
import { until } from './until.ts';

type Operation = { seqNo: number; id: string; text: string | undefined };

/** A shard in memory that keeps its whole history, and so knows its deletes: the ChangeSource that others are measured by. */
export class MemoryShard {
  readonly #operations: Operation[] = [];
  #checkpoint = -1;

  readonly index: string;

  constructor(index: string) {
    this.index = index;
  }

  apply(id: string, text: string | undefined): void {
    this.#operations.push({ seqNo: this.#operations.length, id, text });
  }

  open(): ChangeSource {
    const stopping = new AbortController();
    return {
      stop: async () => stopping.abort(),
      [Symbol.asyncIterator]: () => this.#batches(stopping.signal),
    };
  }

  async *#batches(stopping: AbortSignal): AsyncGenerator<ChangeBatch> {
    while (!stopping.aborted) {
      const more = (): boolean => stopping.aborted || this.#checkpoint < this.#operations.length - 1;
      await until('an operation to tell', more, { withinMs: 10_000, everyMs: 5 });
      if (stopping.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      stopping.addEventListener('abort', () => resolve(), { once: true });
      yield this.#batch(resolve);
      await promise;
    }
  }

  #batch(settled: () => void): ChangeBatch {
    const upTo = this.#operations.length - 1;
    return {
      events: this.#operations.slice(this.#checkpoint + 1).map((operation) => this.#event(operation)),
      origin: this.index,
      stored: () => {
        this.#checkpoint = upTo;
        settled();
      },
      failed: () => settled(),
    };
  }

  #event({ seqNo, id, text }: Operation): ChangeEvent {
    const known = { tenant: 't', index: this.index, id, seqNo, primaryTerm: 1, ts: 0 };
    return text === undefined
      ? { ...known, op: 'delete', version: deleteVersion(1, seqNo) }
      : { ...known, op: 'index', version: writeVersion(1, seqNo), source: Buffer.from(text) };
  }
}
