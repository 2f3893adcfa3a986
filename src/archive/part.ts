import { BlockDamage } from './damage.ts';
import type { ArchiveMessage } from './message.ts';

/**
 * A part, uncompressed: a head, six columns of 32-bit numbers, and the bytes they measure (docs/archive-format.md). Columns compress
 * better than records, and whoever filters by subject, sequence or time need not touch the rest.
 */
export const partHeadBytes = 40;
export const partColumns = 6;

/** A part opened: messages are views into its bytes, made when they are asked for. */
export class OpenedPart {
  readonly messages: number;
  readonly subjects: readonly string[];
  readonly #raw: Buffer;
  readonly #isAlone: boolean;
  readonly #sequences: Float64Array;
  readonly #timestamps: Float64Array;
  readonly #nanos: Float64Array;
  readonly #subjectNumbers: Uint32Array;
  /** Where each header block and payload begins; one more than there are messages. */
  readonly #headersAt: Uint32Array;
  readonly #payloadsAt: Uint32Array;

  /** `isAlone`: nothing else lies in that memory. Throws BlockDamage where the bytes contradict themselves. */
  constructor(raw: Buffer, isAlone = false) {
    if (raw.length < partHeadBytes) throw new BlockDamage('the part is too short');
    const messages = raw.readUInt32LE(0);
    const subjects = raw.readUInt32LE(4);
    const textsAt = partHeadBytes + 4 * (partColumns * messages + subjects);
    const headersAt = textsAt + raw.readUInt32LE(8);
    const payloadsAt = headersAt + raw.readUInt32LE(12);
    if (messages === 0 || payloadsAt + raw.readUInt32LE(16) !== raw.length)
      throw new BlockDamage('the sizes in the part do not add up');
    // A copy, since 32-bit numbers must begin at a multiple of four.
    const numbers = new Uint32Array(Uint8Array.prototype.slice.call(raw, partHeadBytes, textsAt).buffer);
    const column = (at: number): Uint32Array => numbers.subarray(at * messages, (at + 1) * messages);
    this.messages = messages;
    this.#raw = raw;
    this.#isAlone = isAlone;
    this.#sequences = risingSums(column(0), Number(raw.readBigUInt64LE(24)));
    this.#timestamps = signedSums(column(1), Number(raw.readBigInt64LE(32)));
    this.#nanos = signedSums(column(2), 0);
    this.#subjectNumbers = column(3);
    this.#headersAt = positions(column(4), headersAt, payloadsAt);
    this.#payloadsAt = positions(column(5), payloadsAt, raw.length);
    this.subjects = texts(raw, positions(numbers.subarray(partColumns * messages), textsAt, headersAt));
    for (let at = 0; at < messages; at++) {
      if (this.#subjectNumbers[at]! >= subjects) throw new BlockDamage('a message has no subject');
    }
  }

  sequence(at: number): number {
    return this.#sequences[at]!;
  }

  timestamp(at: number): number {
    return this.#timestamps[at]!;
  }

  nanos(at: number): number {
    return this.#nanos[at]!;
  }

  /** Place of its subject among `subjects`. */
  subjectNumber(at: number): number {
    return this.#subjectNumbers[at]!;
  }

  subject(at: number): string {
    return this.subjects[this.#subjectNumbers[at]!]!;
  }

  /** Of header blocks and payloads. */
  get contentBytes(): number {
    return this.#raw.length - this.#headersAt[0]!;
  }

  /** All of the part: headers and payloads lie in it. */
  get bytes(): Buffer {
    return this.#raw;
  }

  /** Nobody looks at it any more: its memory need not wait for the collector. */
  free(): void {
    if (this.#isAlone && this.#raw.buffer instanceof ArrayBuffer) this.#raw.buffer.transfer(0);
  }

  /** Where the payload begins. */
  payloadAt(at: number): number {
    return this.#payloadsAt[at]!;
  }

  payloadEnd(at: number): number {
    return this.#payloadsAt[at + 1]!;
  }

  headerBytes(at: number): number {
    return this.#headersAt[at + 1]! - this.#headersAt[at]!;
  }

  headers(at: number): Buffer {
    return this.#raw.subarray(this.#headersAt[at], this.#headersAt[at + 1]);
  }

  payload(at: number): Buffer {
    return this.#raw.subarray(this.#payloadsAt[at], this.#payloadsAt[at + 1]);
  }

  message(at: number): ArchiveMessage {
    return {
      subject: this.subject(at),
      headers: this.headers(at),
      sequence: this.sequence(at),
      timestamp: this.timestamp(at),
      nanos: this.nanos(at),
      payload: this.payload(at),
    };
  }
}

/** Some messages of a part, in order. */
export type ArchiveRun = {
  part: OpenedPart;
  rows: readonly number[];
  /** Of their header blocks and payloads. */
  bytes: number;
  /** The part holds nothing more that is wanted. */
  isLast: boolean;
};

/** Of differences to the one before; the first has none. */
function risingSums(deltas: Uint32Array, first: number): Float64Array {
  const sums = new Float64Array(deltas.length);
  let sum = first;
  for (let at = 0; at < deltas.length; at++) {
    if ((deltas[at] === 0) !== (at === 0)) throw new BlockDamage('sequences do not rise in the part');
    sums[at] = sum += deltas[at]!;
  }
  return sums;
}

function signedSums(deltas: Uint32Array, first: number): Float64Array {
  const sums = new Float64Array(deltas.length);
  let sum = first;
  for (let at = 0; at < deltas.length; at++) sums[at] = sum += deltas[at]! | 0;
  return sums;
}

/** Where pieces of these lengths begin; the last is where they end, which must be `end`. */
function positions(lengths: Uint32Array, from: number, end: number): Uint32Array {
  const places = new Uint32Array(lengths.length + 1);
  let next = from;
  for (let at = 0; at < lengths.length; at++) {
    places[at] = next;
    next += lengths[at]!;
  }
  if (next !== end) throw new BlockDamage('the lengths in the part do not add up');
  places[lengths.length] = next;
  return places;
}

function texts(raw: Buffer, at: Uint32Array): string[] {
  return Array.from({ length: at.length - 1 }, (_, i) => raw.toString('utf8', at[i], at[i + 1]));
}
