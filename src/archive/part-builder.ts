import type { ArchiveMessage, PlacedMessage } from './message.ts';
import { partColumns, partHeadBytes } from './part.ts';
import { subjectsOfPart, TimeSpan, type PartFacts } from './part-facts.ts';
import { summariseSubjects } from './subjects.ts';

const bytesPerMessage = 4 * partColumns;
const uint32Max = 0xffff_ffff;
const int32Max = 0x7fff_ffff;

/** Gathers messages in memory taken once; nothing of a message is kept but its bytes. */
export class PartBuilder {
  /** A part is not larger, unless a single message is. */
  readonly bytesMax: number;
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

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
    this.#room = Math.ceil(bytesMax / bytesPerMessage);
    this.#columns = new Uint32Array(partColumns * this.#room);
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
    const { headers, payload } = message;
    if (!this.#enter(message, headers.length, payload.length)) return false;
    this.#headers.append(bufferOf(headers), 0, headers.length);
    this.#payloads.append(bufferOf(payload), 0, payload.length);
    return true;
  }

  /** As `add`. */
  place(message: PlacedMessage): boolean {
    const { bytes, headersAt, payloadAt, end } = message;
    if (!this.#enter(message, payloadAt - headersAt, end - payloadAt)) return false;
    if (payloadAt > headersAt) this.#headers.append(bytes, headersAt, payloadAt);
    this.#payloads.append(bytes, payloadAt, end);
    return true;
  }

  /** Everything of a message but its bytes. */
  #enter(message: ArchiveMessage | PlacedMessage, headerBytes: number, payloadBytes: number): boolean {
    const { subject, sequence, timestamp, nanos } = message;
    let number = this.#subjects.get(subject);
    const subjectBytes = number === undefined ? Buffer.byteLength(subject) : 0;
    if (this.#messages === 0) {
      this.#firstSequence = this.#lastSequence = sequence;
      this.#firstTimestamp = this.#timestamp = timestamp;
      this.#nanos = 0;
    } else {
      const more = bytesPerMessage + (number === undefined ? 4 + subjectBytes : 0) + headerBytes + payloadBytes;
      if (this.bytes + more > this.bytesMax) return false;
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
    this.#columns[4 * room + at] = headerBytes;
    this.#columns[5 * room + at] = payloadBytes;
    this.#lastSequence = sequence;
    this.#timestamp = timestamp;
    this.#nanos = nanos;
    this.#span.include(timestamp, nanos, at === 0);
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
    for (let column = 0; column < partColumns; column++) {
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
      subjects: summariseSubjects(subjects, subjectsOfPart),
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

  append(bytes: Buffer, from: number, to: number): void {
    const end = this.length + to - from;
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.length));
      this.#buffer = larger;
    }
    bytes.copy(this.#buffer, this.length, from, to);
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

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
