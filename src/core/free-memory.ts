/**
 * Gives the memory of an opened frame back at once. V8 counts it, but lets tens of megabytes pile up before it collects them. Every view of
 * it is empty from then on; a buffer that shares its memory with others is left alone.
 */
export function freeMemory(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && bytes.byteOffset === 0 && buffer.byteLength - bytes.byteLength <= 1) buffer.transfer(0);
}

/** Small buffers share memory of this size, which is nobody's to give back. */
const poolBytes = Buffer.allocUnsafe(1).buffer.byteLength;

/**
 * Gives back what a socket was read into, part by part. Left to the collector, every 7 MB of it cost a look through the whole heap: a quarter
 * of the CPU time of a backfill (measured).
 */
export class SpentMemory {
  #before: ArrayBufferLike | undefined;

  /** Nobody needs this part any more. Several may stand in one buffer, which goes when a part comes from another. */
  by({ buffer }: Buffer): void {
    const before = this.#before;
    if (before === buffer) return;
    this.#before = buffer;
    if (before instanceof ArrayBuffer && before.byteLength !== poolBytes) before.transfer(0);
  }
}
