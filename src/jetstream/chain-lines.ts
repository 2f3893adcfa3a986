import { digitsOf } from '../core/json-write.ts';
import { leastHeaderBytes, PublishLines } from './wire-out.ts';

export type ChainStart = {
  stream: string;
  /**
   * `linked`: every message is taken only directly behind the one before it, the first only behind `lastSequence`. So one answer tells
   * of all before it, and nothing is taken twice or out of order, whatever became of an earlier publisher. It needs a stream
   * that nobody else publishes to. `apart`: messages are answered one by one, and only the stream's deduplication guards them.
   */
  mode: 'linked' | 'apart';
  /** Last sequence of the stream when it was looked at. */
  lastSequence: number;
};

/** Read while it is added, and not afterwards. */
export type ChainMessage = {
  subject: string;
  /** Deduplication id, one a message: a text that many of them share, and a whole number. */
  idPrefix: string;
  idNumber: number;
  /** Header lines of our own, and those carried over, each line with its end. */
  ownLines: Uint8Array;
  lines: Uint8Array;
  /** Where the payload lies. */
  bytes: Buffer;
  payloadAt: number;
  payloadEnd: number;
};

const ownId = Buffer.from('Nats-Msg-Id: ');
const behind = Buffer.from('Nats-Expected-Last-Msg-Id: ');
const lineEnd = Buffer.from('\r\n');

/** The messages of a chain as protocol lines; linked, each names the one before it. */
export class ChainLines {
  readonly #start: ChainStart;
  readonly #lines = new PublishLines();
  #prefix: string | undefined;
  #prefixBytes: Buffer = Buffer.alloc(0);
  /** Of the message before, once there is one. */
  #lastPrefix: Buffer | undefined;
  #lastNumber = 0;
  #headerBytes = 0;
  #expectation: Buffer = Buffer.alloc(0);

  constructor(start: ChainStart) {
    this.#start = start;
  }

  /** Nothing was written yet. */
  get isFirst(): boolean {
    return this.#lastPrefix === undefined;
  }

  /** What was written and not taken. */
  get bytes(): number {
    return this.#lines.bytes;
  }

  /** Size of the message that comes next, with headers, as the server counts it. */
  measure(message: ChainMessage): number {
    const { idPrefix, idNumber, ownLines, lines, payloadAt, payloadEnd } = message;
    if (idPrefix !== this.#prefix) {
      this.#prefix = idPrefix;
      this.#prefixBytes = Buffer.from(idPrefix);
    }
    this.#expectation = this.#expect();
    let bytes = leastHeaderBytes + ownId.length + this.#prefixBytes.length + digitsOf(idNumber) + lineEnd.length;
    bytes += this.#expectation.length + ownLines.length + lines.length;
    if (this.#expectation === behind) bytes += this.#lastPrefix!.length + digitsOf(this.#lastNumber) + lineEnd.length;
    this.#headerBytes = bytes;
    return bytes + payloadEnd - payloadAt;
  }

  /** Writes the message that was measured; `reply` may be empty. */
  write(message: ChainMessage, reply: string): void {
    const { subject, idNumber, ownLines, lines, bytes, payloadAt, payloadEnd } = message;
    const out = this.#lines;
    out.begin(subject, reply, this.#headerBytes, payloadEnd - payloadAt);
    out.add(ownId);
    out.add(this.#prefixBytes);
    out.number(idNumber);
    out.add(lineEnd);
    out.add(this.#expectation);
    if (this.#expectation === behind) {
      out.add(this.#lastPrefix!);
      out.number(this.#lastNumber);
      out.add(lineEnd);
    }
    out.add(ownLines);
    out.add(lines);
    out.end(bytes, payloadAt, payloadEnd);
    this.#lastPrefix = this.#prefixBytes;
    this.#lastNumber = idNumber;
  }

  askLast(reply: string): void {
    this.#lines.askLast(reply);
  }

  /** See `PublishLines`. */
  take(number: number): Buffer {
    return this.#lines.take(number);
  }

  reuse(number: number): void {
    this.#lines.reuse(number);
  }

  #expect(): Buffer {
    const { mode, stream, lastSequence } = this.#start;
    if (mode === 'linked' && !this.isFirst) return behind;
    const last = mode === 'linked' ? `Nats-Expected-Last-Sequence: ${lastSequence}\r\n` : '';
    return Buffer.from(`Nats-Expected-Stream: ${stream}\r\n${last}`);
  }
}
