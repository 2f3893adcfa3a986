/**
 * Walks over JSON text as bytes without building values. It finds where things begin and end; it does not check what a parser would
 * check inside a value it skips. Offsets are bytes. Every function throws `SyntaxError` where the text ends too soon or cannot be JSON.
 */

const quote = 0x22;
const backslash = 0x5c;
/** Strings are mostly short: a loop wins there, and the native search wins beyond. */
const nativeSearchFromBytes = 48;

/** Marks for the walk inside an object or array: 1 opens, 2 closes, 3 begins a string. */
const structure = new Uint8Array(256);
structure[0x7b] = 1;
structure[0x5b] = 1;
structure[0x7d] = 2;
structure[0x5d] = 2;
structure[quote] = 3;

/** Ends a number or literal: white space, `,`, `:`, brackets, braces, quote. */
const delimiter = new Uint8Array(256);
for (const byte of [0x20, 0x09, 0x0a, 0x0d, 0x2c, 0x3a, 0x5b, 0x5d, 0x7b, 0x7d, quote]) delimiter[byte] = 1;

function unexpectedEnd(bytes: Uint8Array): SyntaxError {
  return new SyntaxError(`JSON text ends too soon, after ${bytes.length} bytes`);
}

function unexpected(bytes: Uint8Array, at: number): SyntaxError {
  const byte = bytes[at];
  if (byte === undefined) return unexpectedEnd(bytes);
  return new SyntaxError(`JSON text has an unexpected byte 0x${byte.toString(16)} at ${at}`);
}

/** First offset at or after `at` that is not white space; the length of the text if there is none. */
export function skipWhitespace(bytes: Uint8Array, at: number): number {
  let next = at;
  while (next < bytes.length) {
    const byte = bytes[next]!;
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) break;
    next++;
  }
  return next;
}

/** Offset after the closing quote of the string that begins at `at`. */
export function skipString(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== quote) throw unexpected(bytes, at);
  const length = bytes.length;
  const near = Math.min(length, at + nativeSearchFromBytes);
  let next = at + 1;
  while (next < near) {
    const byte = bytes[next]!;
    if (byte === quote) return next + 1;
    next += byte === backslash ? 2 : 1;
  }
  return skipLongString(bytes, next);
}

/** `from` is inside a string and not inside an escape. A quote ends the string if an even number of backslashes stands before it. */
function skipLongString(bytes: Uint8Array, from: number): number {
  let next = from;
  for (;;) {
    next = bytes.indexOf(quote, next);
    if (next < 0) throw unexpectedEnd(bytes);
    let before = next - 1;
    while (before >= from && bytes[before] === backslash) before--;
    if (((next - before) & 1) === 1) return next + 1;
    next++;
  }
}

/** Offset after the value that begins at `at` (no white space before it). Any depth; uses no stack. */
export function skipValue(bytes: Uint8Array, at: number): number {
  const kind = structure[bytes[at] ?? 0];
  if (kind === 3) return skipString(bytes, at);
  if (kind === 1) return skipContainer(bytes, at);
  let next = at;
  while (next < bytes.length && delimiter[bytes[next]!] === 0) next++;
  if (next === at) throw unexpected(bytes, at);
  return next;
}

function skipContainer(bytes: Uint8Array, at: number): number {
  const length = bytes.length;
  let depth = 0;
  let next = at;
  while (next < length) {
    const kind = structure[bytes[next]!]!;
    if (kind === 0) {
      next++;
    } else if (kind === 3) {
      next = skipString(bytes, next);
    } else {
      next++;
      if (kind === 1) depth++;
      else if (--depth === 0) return next;
    }
  }
  throw unexpectedEnd(bytes);
}

/** The text of the string whose quotes stand at `start` and `end - 1`. */
export function stringBetween(bytes: Uint8Array, start: number, end: number): string {
  if (bytes[start] !== quote) throw unexpected(bytes, start);
  // A view costs more than decoding a short string, and most callers have a Buffer.
  const text = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = start + 1; at < end; at++) {
    if (text[at] === backslash) return JSON.parse(text.toString('utf8', start, end)) as string;
  }
  return text.toString('utf8', start + 1, end - 1);
}

/** The string that begins at `at`, and the offset after it. */
export function readString(bytes: Uint8Array, at: number): { value: string; end: number } {
  const end = skipString(bytes, at);
  return { value: stringBetween(bytes, at, end), end };
}

/** The integer written from `start` to `end`. Fractions, exponents and what a double cannot hold exactly are refused. */
export function integerBetween(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === 0x2d;
  const first = negative ? start + 1 : start;
  if (first >= end) throw unexpected(bytes, end);
  let value = 0;
  for (let at = first; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) throw unexpected(bytes, at);
    value = value * 10 + digit;
  }
  if (value > Number.MAX_SAFE_INTEGER) throw new SyntaxError(`JSON text has an integer beyond 2^53 at ${start}`);
  return negative ? -value : value;
}

/** The integer that begins at `at`, and the offset after it. */
export function readInteger(bytes: Uint8Array, at: number): { value: number; end: number } {
  const end = skipValue(bytes, at);
  return { value: integerBetween(bytes, at, end), end };
}

/** True when the bytes from `start` to `end` spell `ascii`. */
export function spells(bytes: Uint8Array, start: number, end: number, ascii: string): boolean {
  if (end - start !== ascii.length) return false;
  for (let at = 0; at < ascii.length; at++) if (bytes[start + at] !== ascii.charCodeAt(at)) return false;
  return true;
}

/** True when the bytes at `at` are `wanted`. */
export function beginsWith(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let n = 0; n < wanted.length; n++) if (bytes[at + n] !== wanted[n]) return false;
  return true;
}

/** Called with a key's bytes, without quotes and as written (compare with `spells`), and the start of its value; returns the value's end. */
export type MemberVisitor<T> = (bytes: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, into: T) => number;

/** Visits each member of the object that begins at `at` (no white space before it). Returns the offset after the object. */
export function scanObject<T>(bytes: Uint8Array, at: number, into: T, visit: MemberVisitor<T>): number {
  if (bytes[at] !== 0x7b) throw unexpected(bytes, at);
  let next = skipWhitespace(bytes, at + 1);
  if (bytes[next] === 0x7d) return next + 1;
  for (;;) {
    const keyEnd = skipString(bytes, next);
    const valueEnd = visit(bytes, next + 1, keyEnd - 1, startOfValue(bytes, keyEnd), into);
    next = skipWhitespace(bytes, valueEnd);
    if (bytes[next] === 0x7d) return next + 1;
    if (bytes[next] !== 0x2c) throw unexpected(bytes, next);
    next = skipWhitespace(bytes, next + 1);
  }
}

/** Visits each element of the array that begins at `at`: `visit` gets the element's start and returns its end. */
export function scanArray<T>(
  bytes: Uint8Array,
  at: number,
  into: T,
  visit: (bytes: Uint8Array, start: number, into: T) => number,
): number {
  if (bytes[at] !== 0x5b) throw unexpected(bytes, at);
  let next = skipWhitespace(bytes, at + 1);
  if (bytes[next] === 0x5d) return next + 1;
  for (;;) {
    next = skipWhitespace(bytes, visit(bytes, next, into));
    if (bytes[next] === 0x5d) return next + 1;
    if (bytes[next] !== 0x2c) throw unexpected(bytes, next);
    next = skipWhitespace(bytes, next + 1);
  }
}

/** From the end of a key over the colon to the start of its value. */
export function startOfValue(bytes: Uint8Array, keyEnd: number): number {
  if (keyEnd + 1 < bytes.length && bytes[keyEnd] === 0x3a && bytes[keyEnd + 1]! > 0x20) return keyEnd + 1;
  const colon = skipWhitespace(bytes, keyEnd);
  if (bytes[colon] !== 0x3a) throw unexpected(bytes, colon);
  return skipWhitespace(bytes, colon + 1);
}
