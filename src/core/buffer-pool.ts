const roundBytes = 64 * 1024;

/**
 * Memory for large buffers, used again and again. Left to the garbage collector, tens of megabytes of them pile up before it looks
 * (measured), since it goes by the small objects that hold them.
 */
export class BufferPool {
  readonly #idleMax: number;
  readonly #bytesMax: number;
  #idle: Buffer[] = [];

  /** Keeps at most `idleMax` buffers for later, none of them larger than `bytesMax`. */
  constructor(idleMax: number, bytesMax: number) {
    this.#idleMax = idleMax;
    this.#bytesMax = bytesMax;
  }

  /** A buffer of exactly so many bytes, whose contents are undefined. */
  take(bytes: number): Buffer {
    const fitting = this.#idle.filter((buffer) => buffer.length >= bytes);
    const smallest = fitting.reduce<Buffer | undefined>((a, b) => (a === undefined || b.length < a.length ? b : a), undefined);
    if (smallest === undefined) return Buffer.allocUnsafeSlow(Math.ceil(bytes / roundBytes) * roundBytes).subarray(0, bytes);
    this.#idle = this.#idle.filter((buffer) => buffer !== smallest);
    return smallest.subarray(0, bytes);
  }

  /** Takes back what `take` gave, or a part of it. Nobody may look at it any more. */
  give(buffer: Buffer): void {
    const whole = Buffer.from(buffer.buffer);
    if (whole.length > this.#bytesMax || whole.length < roundBytes) return;
    if (this.#idle.length >= this.#idleMax) {
      // The larger ones stay: they fit more.
      this.#idle.sort((a, b) => b.length - a.length);
      if (this.#idle.at(-1)!.length >= whole.length) return;
      this.#idle.pop();
    }
    this.#idle.push(whole);
  }
}
