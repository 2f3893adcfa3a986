/** Writes JSON text into a buffer that has room for it. Every function returns the offset after what it wrote. */

const quote = 0x22;
const backslash = 0x5c;
const zero = 0x30;
const int32Max = 0x7fff_ffff;
const delete_ = 0x7f;
/** Both halves of a number below 2^53 are small integers, which V8 divides many times faster. */
const half = 100_000_000;

/** Bytes that the string takes at most: an escape is six for one character, and one beyond ASCII at most as many. */
export function stringBytesMax(text: string): number {
  return text.length * 6 + 2;
}

/** As `JSON.stringify` would. Short strings without anything to escape, which ids mostly are, are written here. */
export function writeString(into: Buffer, at: number, text: string): number {
  let next = at;
  into[next++] = quote;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code >= delete_ || code === quote || code === backslash) return at + into.write(JSON.stringify(text), at);
    into[next++] = code;
  }
  into[next++] = quote;
  return next;
}

/** An integer from 0 to 2^53 − 1. */
export function writeInteger(into: Buffer, at: number, value: number): number {
  if (value < half) return writeDigits(into, at, value, digitsOf(value));
  const high = Math.floor(value / half);
  const low = value - high * half;
  const next = high < half ? writeDigits(into, at, high, digitsOf(high)) : writeInteger(into, at, high);
  return writeDigits(into, next, low, 8);
}

/** How many decimal digits a whole number has. */
export function digitsOf(value: number): number {
  let count = 1;
  for (let bound = 10; value >= bound; bound *= 10) count++;
  return count;
}

/** Writes a whole number in so many digits, zeros before it; the place behind it. */
export function writeDigits(bytes: Uint8Array, at: number, value: number, count: number): number {
  let place = at + count - 1;
  let rest = value;
  for (; rest > int32Max; place--) {
    const tens = Math.floor(rest / 10);
    bytes[place] = zero + (rest - 10 * tens);
    rest = tens;
  }
  // From here on whole numbers of the processor will do.
  for (let small = rest | 0; place >= at; place--) {
    const tens = (small / 10) | 0;
    bytes[place] = zero + (small - 10 * tens);
    small = tens;
  }
  return at + count;
}

/** Bytes that are written again and again: a loop over a few dozen is quicker than a call. */
export function writeBytes(into: Buffer, at: number, bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i++) into[at + i] = bytes[i]!;
  return at + bytes.length;
}

/** The bytes of `from` between `start` and `end`: short texts in a loop too. */
export function copyBytes(into: Buffer, at: number, from: Buffer, start: number, end: number): number {
  const length = end - start;
  if (length > loopBytesMax) from.copy(into, at, start, end);
  else for (let i = 0; i < length; i++) into[at + i] = from[start + i]!;
  return at + length;
}
const loopBytesMax = 40;
