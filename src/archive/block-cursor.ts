import type { ObjectStore } from '../core/strategy.ts';
import type { ReadableBlock } from './catalog.ts';
import type { ArchiveRun, OpenedPart } from './part.ts';
import type { MessageFilter } from './selection.ts';
import { readParts, type OnDamage } from './stored-parts.ts';

/** Walks through the wanted messages of one stored block. */
export class BlockCursor {
  readonly firstSequence: number;
  /** Of header blocks and payloads in the block, uncompressed. */
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
    this.bytes = block.header.bytes;
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

  /** The next message, and those that follow it below `limit`, until they are so many or have so many bytes. */
  take(limit: number, messagesMax: number, bytesMax: number): ArchiveRun {
    const part = this.#part!;
    const from = this.#at;
    let bytes = 0;
    do {
      const row = this.#rows[this.#at++]!;
      bytes += part.headerBytes(row) + part.payloadEnd(row) - part.payloadAt(row);
    } while (this.hasMore && this.sequence < limit && bytes < bytesMax && this.#at - from < messagesMax);
    return { part, rows: this.#rows.slice(from, this.#at), bytes, isLast: !this.hasMore };
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
