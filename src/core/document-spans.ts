import { stringBetween } from './json-bytes.ts';

/** Where a document's texts begin in a row of `spans`; each is a start and an end, both 0 where there is none. */
export const idSpan = 0;
export const routingSpan = 2;
export const sourceSpan = 4;
export const spansEach = 6;

/** Places in a row of `numbers`. */
export const versionNumber = 0;
export const seqNoNumber = 1;
export const primaryTermNumber = 2;
export const tsNumber = 3;
export const numbersEach = 4;

const firstCapacity = 16;
const growth = 2;

/**
 * Documents as they stand in one buffer: a table of offsets and numbers, a row a document. An object, a view and a string for each of them
 * would cost more than moving their bytes does (measured: docs/decisions/0003-where-the-time-goes.md). Ids and routings are JSON strings as they
 * are written, quotes included. Valid as long as the buffer is.
 */
export class DocumentSpans {
  readonly bytes: Buffer;
  length = 0;
  spans: Int32Array;
  numbers: Float64Array;

  /** `capacity`: how many documents are expected. */
  constructor(bytes: Buffer, capacity: number) {
    this.bytes = bytes;
    this.spans = new Int32Array(capacity * spansEach);
    this.numbers = new Float64Array(capacity * numbersEach);
  }

  /** Adds a row of zeros; where it begins in `spans` is its number times `spansEach`, likewise in `numbers`. */
  add(): number {
    if (this.spans.length === this.length * spansEach) this.#grow();
    return this.length++;
  }

  /** Takes the last row away again. */
  takeBack(): void {
    this.length--;
    this.spans.fill(0, this.length * spansEach, (this.length + 1) * spansEach);
  }

  /** The same texts under other numbers. */
  withNumbers(numbers: Float64Array): DocumentSpans {
    const copy = new DocumentSpans(this.bytes, 0);
    copy.spans = this.spans;
    copy.numbers = numbers;
    copy.length = this.length;
    return copy;
  }

  /** These rows alone, in this order. */
  select(rows: readonly number[]): DocumentSpans {
    const copy = new DocumentSpans(this.bytes, rows.length);
    for (const row of rows) {
      const to = copy.add();
      for (let n = 0; n < spansEach; n++) copy.spans[to * spansEach + n] = this.spans[row * spansEach + n]!;
      for (let n = 0; n < numbersEach; n++) copy.numbers[to * numbersEach + n] = this.numbers[row * numbersEach + n]!;
    }
    return copy;
  }

  id(row: number): string {
    const at = row * spansEach + idSpan;
    return stringBetween(this.bytes, this.spans[at]!, this.spans[at + 1]!);
  }

  routing(row: number): string | undefined {
    const at = row * spansEach + routingSpan;
    return this.spans[at + 1] === 0 ? undefined : stringBetween(this.bytes, this.spans[at]!, this.spans[at + 1]!);
  }

  /** A view into the buffer. */
  source(row: number): Buffer | undefined {
    const at = row * spansEach + sourceSpan;
    return this.spans[at + 1] === 0 ? undefined : this.bytes.subarray(this.spans[at], this.spans[at + 1]);
  }

  number(row: number, which: number): number {
    return this.numbers[row * numbersEach + which]!;
  }

  /** Bytes of the documents of these rows together. */
  sourceBytesOf(from: number, to: number): number {
    let bytes = 0;
    for (let at = from * spansEach + sourceSpan; at < to * spansEach; at += spansEach)
      bytes += this.spans[at + 1]! - this.spans[at]!;
    return bytes;
  }

  /** Some document has a routing of its own. */
  get routed(): boolean {
    for (let at = routingSpan; at < this.length * spansEach; at += spansEach) if (this.spans[at + 1] !== 0) return true;
    return false;
  }

  #grow(): void {
    const capacity = Math.max(firstCapacity, this.length * growth);
    const spans = new Int32Array(capacity * spansEach);
    spans.set(this.spans);
    this.spans = spans;
    const numbers = new Float64Array(capacity * numbersEach);
    numbers.set(this.numbers);
    this.numbers = numbers;
  }
}
