/**
 * Gives the memory of an opened frame back at once. V8 counts it, but lets tens of megabytes pile up before it collects them. Every view of
 * it is empty from then on; a buffer that shares its memory with others is left alone.
 */
export function freeMemory(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && bytes.byteOffset === 0 && buffer.byteLength - bytes.byteLength <= 1) buffer.transfer(0);
}
