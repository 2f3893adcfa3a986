/**
 * Memory for parts, taken again and again: a fresh megabyte a part costs more in page faults than filling it. What is larger than usual, or
 * beyond what is kept, comes from the system and goes back there.
 */
export class BufferPool {
  readonly #bytes: number;
  readonly #keptMax: number;
  readonly #free: ArrayBufferLike[] = [];

  constructor(bytes: number, keptMax: number) {
    this.#bytes = bytes;
    this.#keptMax = keptMax;
  }

  /** Its content is what was there before. */
  take(bytes: number): Buffer {
    if (bytes > this.#bytes) return Buffer.allocUnsafeSlow(bytes);
    const memory = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes).buffer;
    return Buffer.from(memory, 0, bytes);
  }

  /** Nobody may look at it any more. */
  give(buffer: Buffer): void {
    if (buffer.buffer.byteLength === this.#bytes && this.#free.length < this.#keptMax) this.#free.push(buffer.buffer);
  }
}
