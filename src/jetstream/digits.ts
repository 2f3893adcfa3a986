const zero = 0x30;
const int32Max = 0x7fff_ffff;

/** The number that these bytes say in decimal digits; NaN where they say none. */
export function digits(bytes: Uint8Array, from: number, to: number): number {
  if (from >= to) return NaN;
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = bytes[at]! - zero;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return value;
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
