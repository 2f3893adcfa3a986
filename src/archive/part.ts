import { BlockDamage } from './damage.ts';
import type { ArchiveMessage } from './message.ts';

/**
 * A part, uncompressed: a head, six columns of 32-bit numbers, and the bytes they measure (docs/archive-format.md). Columns compress
 * better than records, and whoever filters by subject, sequence or time need not touch the rest.
 */
export const partHeadBytes = 40;
const columns = 6;
const bytesPerMessage = 4 * columns;
const uint32Max = 0xffff_ffff;
const int32Max = 0x7fff_ffff;

/** What the index of a block says of a part, but for its place. */
export type PartFacts = {
  messages: number;
  firstSequence: number;
  lastSequence: number;
  /** The least and the greatest time, in ns since 1970. */
  firstTime: bigint;
  lastTime: bigint;
  subjects: readonly string[];
};

/** Gathers messages in memory taken once; nothing of a message is kept but its bytes. */
export class PartBuilder {
  readonly #bytesMax: number;
  /** Messages of the smallest kind that a part can hold: the length of a column. */
  readonly #room: number;
  readonly #columns: Uint32Array;
  readonly #payloads: Bytes;
  readonly #headers: Bytes;
  #subjects = new Map<string, number>();
  #subjectBytes = 0;
  #messages = 0;
  #firstSequence = 0;
  #lastSequence = 0;
  #firstTimestamp = 0;
  #timestamp = 0;
  #nanos = 0;
  readonly #span = new TimeSpan();

  /** `bytesMax`: a part is not larger, unless a single message is. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#room = Math.ceil(bytesMax / bytesPerMessage);
    this.#columns = new Uint32Array(columns * this.#room);
    this.#payloads = new Bytes(bytesMax);
    this.#headers = new Bytes(Math.ceil(bytesMax / 16));
  }

  get messages(): number {
    return this.#messages;
  }

  /** Size of the part as it is, uncompressed. */
  get bytes(): number {
    const numbers = bytesPerMessage * this.#messages + 4 * this.#subjects.size;
    return partHeadBytes + numbers + this.#subjectBytes + this.#headers.length + this.#payloads.length;
  }

  /** False where the message belongs into the next part; an empty part takes any. Sequences must rise. */
  add(message: ArchiveMessage): boolean {
    const { subject, headers, payload, sequence, timestamp, nanos } = message;
    let number = this.#subjects.get(subject);
    const subjectBytes = number === undefined ? Buffer.byteLength(subject) : 0;
    if (this.#messages === 0) {
      this.#firstSequence = this.#lastSequence = sequence;
      this.#firstTimestamp = this.#timestamp = timestamp;
      this.#nanos = 0;
    } else {
      const more = bytesPerMessage + (number === undefined ? 4 + subjectBytes : 0) + headers.length + payload.length;
      if (this.bytes + more > this.#bytesMax) return false;
      if (sequence - this.#lastSequence > uint32Max || Math.abs(timestamp - this.#timestamp) > int32Max) return false;
    }
    if (number === undefined) {
      number = this.#subjects.size;
      this.#subjects.set(subject, number);
      this.#subjectBytes += subjectBytes;
    }
    const at = this.#messages++;
    const room = this.#room;
    this.#columns[at] = sequence - this.#lastSequence;
    this.#columns[room + at] = timestamp - this.#timestamp;
    this.#columns[2 * room + at] = nanos - this.#nanos;
    this.#columns[3 * room + at] = number;
    this.#columns[4 * room + at] = headers.length;
    this.#columns[5 * room + at] = payload.length;
    this.#lastSequence = sequence;
    this.#timestamp = timestamp;
    this.#nanos = nanos;
    this.#span.include(timestamp, nanos, at === 0);
    this.#headers.append(headers);
    this.#payloads.append(payload);
    return true;
  }

  /** The part as bytes, and the builder empty again. `take`: where the memory comes from. */
  finish(take: (bytes: number) => Buffer): { raw: Buffer; facts: PartFacts } {
    const messages = this.#messages;
    const subjects = [...this.#subjects.keys()];
    const raw = take(this.bytes);
    const sizes = [messages, subjects.length, this.#subjectBytes, this.#headers.length, this.#payloads.length, 0];
    let at = 0;
    for (const size of sizes) at = raw.writeUInt32LE(size, at);
    at = raw.writeBigUInt64LE(BigInt(this.#firstSequence), at);
    at = raw.writeBigInt64LE(BigInt(this.#firstTimestamp), at);
    for (let column = 0; column < columns; column++) {
      const from = 4 * column * this.#room;
      raw.set(new Uint8Array(this.#columns.buffer, from, 4 * messages), at);
      at += 4 * messages;
    }
    for (const subject of subjects) at = raw.writeUInt32LE(Buffer.byteLength(subject), at);
    for (const subject of subjects) at += raw.write(subject, at);
    at += this.#headers.moveTo(raw, at);
    at += this.#payloads.moveTo(raw, at);
    const { firstTime, lastTime } = this.#span;
    const facts = {
      messages,
      firstSequence: this.#firstSequence,
      lastSequence: this.#lastSequence,
      firstTime,
      lastTime,
      subjects,
    };
    this.#subjects = new Map();
    this.#subjectBytes = 0;
    this.#messages = 0;
    return { raw, facts };
  }
}

/** Bytes in a row, in memory that is taken again and again; more of it for the time of a large message. */
class Bytes {
  readonly #usual: Buffer;
  #buffer: Buffer;
  length = 0;

  constructor(usual: number) {
    this.#usual = Buffer.allocUnsafeSlow(usual);
    this.#buffer = this.#usual;
  }

  append(bytes: Uint8Array): void {
    const end = this.length + bytes.length;
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.length));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.length);
    this.length = end;
  }

  moveTo(target: Buffer, at: number): number {
    const { length } = this;
    target.set(this.#buffer.subarray(0, length), at);
    this.length = 0;
    this.#buffer = this.#usual;
    return length;
  }
}

/** The least and the greatest time: a stream's clock may be set back. */
export class TimeSpan {
  #first = { ms: 0, nanos: 0 };
  #last = { ms: 0, nanos: 0 };

  include(ms: number, nanos: number, isFirst: boolean): void {
    if (isFirst || ms < this.#first.ms || (ms === this.#first.ms && nanos < this.#first.nanos)) set(this.#first, ms, nanos);
    if (isFirst || ms > this.#last.ms || (ms === this.#last.ms && nanos > this.#last.nanos)) set(this.#last, ms, nanos);
  }

  get firstTime(): bigint {
    return BigInt(this.#first.ms) * 1_000_000n + BigInt(this.#first.nanos);
  }

  get lastTime(): bigint {
    return BigInt(this.#last.ms) * 1_000_000n + BigInt(this.#last.nanos);
  }
}

function set(time: { ms: number; nanos: number }, ms: number, nanos: number): void {
  time.ms = ms;
  time.nanos = nanos;
}

/** A part opened: messages are views into its bytes, made when they are asked for. */
export class OpenedPart {
  readonly messages: number;
  readonly subjects: readonly string[];
  readonly #raw: Buffer;
  readonly #sequences: Float64Array;
  readonly #timestamps: Float64Array;
  readonly #nanos: Int32Array;
  readonly #subjectNumbers: Uint32Array;
  /** Where each header block and payload begins; one more than there are messages. */
  readonly #headersAt: Uint32Array;
  readonly #payloadsAt: Uint32Array;

  /** Throws BlockDamage where the bytes contradict themselves. */
  constructor(raw: Buffer) {
    if (raw.length < partHeadBytes) throw new BlockDamage('the part is too short');
    const [messages, subjects, subjectBytes, headerBytes, payloadBytes] = [0, 4, 8, 12, 16].map((at) => raw.readUInt32LE(at)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const columnsEnd = partHeadBytes + bytesPerMessage * messages;
    const textsAt = columnsEnd + 4 * subjects;
    const headersAt = textsAt + subjectBytes;
    if (headersAt + headerBytes + payloadBytes !== raw.length) throw new BlockDamage('the sizes in the part do not add up');
    const numbers = new Int32Array(aligned(raw, partHeadBytes, textsAt));
    const column = (at: number) => numbers.subarray(at * messages, (at + 1) * messages);
    this.messages = messages;
    this.#raw = raw;
    this.#sequences = summed(column(0), Number(raw.readBigUInt64LE(24)), true);
    this.#timestamps = summed(column(1), Number(raw.readBigInt64LE(32)), false);
    this.#nanos = new Int32Array(messages);
    for (const [at, delta] of column(0).entries())
      if ((at === 0) !== (delta === 0)) throw new BlockDamage('sequences do not rise');
    let nanos = 0;
    for (const [at, delta] of column(2).entries()) this.#nanos[at] = nanos += delta;
    this.#subjectNumbers = new Uint32Array(numbers.buffer, 12 * messages, messages);
    this.#headersAt = positions(column(4), headersAt, headersAt + headerBytes);
    this.#payloadsAt = positions(column(5), headersAt + headerBytes, raw.length);
    this.subjects = texts(raw, positions(numbers.subarray(columns * messages), textsAt, headersAt));
    for (const number of this.#subjectNumbers) if (number >= subjects) throw new BlockDamage('a message has no subject');
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

/** The bytes from `from` to `to` where 32-bit numbers may be read from them: at a multiple of four. */
function aligned(raw: Buffer, from: number, to: number): ArrayBuffer {
  const copy = new ArrayBuffer(to - from);
  new Uint8Array(copy).set(raw.subarray(from, to));
  return copy;
}

function summed(deltas: Int32Array, first: number, unsigned: boolean): Float64Array {
  const sums = new Float64Array(deltas.length);
  let sum = first;
  for (const [at, delta] of deltas.entries()) sums[at] = sum += unsigned ? delta >>> 0 : delta;
  return sums;
}

/** Where pieces of these lengths begin; the last is where they end, which must be `end`. */
function positions(lengths: Int32Array, from: number, end: number): Uint32Array {
  const at = new Uint32Array(lengths.length + 1);
  let next = from;
  for (const [i, length] of lengths.entries()) {
    at[i] = next;
    next += length >>> 0;
  }
  if (next !== end) throw new BlockDamage('the lengths in the part do not add up');
  at[lengths.length] = next;
  return at;
}

function texts(raw: Buffer, at: Uint32Array): string[] {
  return Array.from({ length: at.length - 1 }, (_, i) => raw.toString('utf8', at[i], at[i + 1]));
}
