import type { ObjectStore } from '../core/strategy.ts';
import type { ReadableBlock } from './catalog.ts';
import type { ArchiveMessage } from './message.ts';
import type { OpenedPart } from './part.ts';
import type { MessageFilter } from './selection.ts';
import { readParts, type OnDamage } from './stored-parts.ts';

/** Walks through the wanted messages of one stored block. */
export class BlockCursor {
  readonly firstSequence: number;
  /** Of the stored object. */
  readonly bytes: number;
  readonly #filter: MessageFilter;
  readonly #parts: AsyncGenerator<OpenedPart>;
  #coming: Promise<IteratorResult<OpenedPart, unknown>> | undefined;
  #part: OpenedPart | undefined;
  #rows: readonly number[] = [];
  #at = 0;

  constructor(
    store: ObjectStore,
    block: ReadableBlock,
    filter: MessageFilter,
    onDamage: OnDamage,
    signal: AbortSignal | undefined,
  ) {
    this.firstSequence = block.header.firstSequence;
    this.bytes = block.bytes;
    this.#filter = filter;
    this.#parts = readParts(store, block, block.header.compression, (part) => filter.mayHold(part), onDamage, signal);
  }

  /** Begins to read; the result is kept until it is asked for. */
  start(): void {
    this.#coming ??= this.#parts.next();
    // Whoever asks is told.
    this.#coming.catch(() => undefined);
  }

  /** True when a message is there to take without waiting. */
  get hasMore(): boolean {
    return this.#at < this.#rows.length;
  }

  /** Of the message to take next. */
  get sequence(): number {
    return this.#part!.sequence(this.#rows[this.#at]!);
  }

  take(): ArchiveMessage {
    return this.#part!.message(this.#rows[this.#at++]!);
  }

  /** Goes to the first message above `sequence`; false when there is none. */
  async skipThrough(sequence: number): Promise<boolean> {
    for (;;) {
      while (this.hasMore && this.sequence <= sequence) this.#at++;
      if (this.hasMore) return true;
      this.start();
      const next = await this.#coming!;
      this.#coming = undefined;
      if (next.done === true) return false;
      this.#part = next.value;
      this.#rows = this.#filter.rows(next.value);
      this.#at = 0;
    }
  }
}
