import type { NatsConnection } from '@nats-io/transport-node';
import { digitsOf, writeDigits } from '../core/json-write.ts';

/** The library's own door to the wire, which it does not declare. */
type Protocol = { sendCommand(bytes: Uint8Array): void };

/**
 * Writes protocol lines that are complete, many messages at once: the library's `publish` encodes and queues each of them apart, which costs
 * more than the message. Throws where the connection is closed.
 */
export function sendLines(connection: NatsConnection, lines: Uint8Array): void {
  const { protocol } = connection as unknown as { protocol?: Protocol };
  if (protocol === undefined) throw new TypeError('the NATS library writes in another way');
  protocol.sendCommand(lines);
}

const chunkBytes = 256 * 1024;
/** A window of usual messages has so much on its way. */
const idleMax = 32;
const [space, carriageReturn, lineFeed] = [0x20, 0x0d, 0x0a];
const operation = Buffer.from('HPUB ');
const version = Buffer.from('NATS/1.0\r\n');
/** Of a header block without any header. */
export const leastHeaderBytes = 'NATS/1.0\r\n\r\n'.length;

/**
 * Gathers `HPUB` operations: `begin`, header lines each with its end, `end`. Nothing is made for a message: its bytes are written where they are to
 * be. Memory is handed over with `take`, so that nothing that waits to be sent is overwritten.
 */
export class PublishLines {
  /** Memory that is written to, from what was taken of it on, and the last number under which some was taken. */
  #buffer: Buffer = Buffer.allocUnsafeSlow(0);
  #lastTaken = Number.POSITIVE_INFINITY;
  /** Memory that is full, in order, and such as can be used again. */
  readonly #full: { buffer: Buffer; lastTaken: number }[] = [];
  readonly #idle: Buffer[] = [];
  #at = 0;
  /** Where the reply subject of the last message would stand. */
  #replyAt = 0;

  get bytes(): number {
    return this.#at;
  }

  /** `headerBytes`: of the header block, the version's line and the blank one included. */
  begin(subject: string, reply: string, headerBytes: number, payloadBytes: number): void {
    const size = headerBytes + payloadBytes;
    // A character takes three bytes at most, and the numbers no more than forty.
    this.#reserve(3 * (subject.length + reply.length) + size + 64);
    this.add(operation);
    this.text(subject);
    this.#buffer[this.#at++] = space;
    this.#replyAt = this.#at;
    if (reply !== '') {
      this.text(reply);
      this.#buffer[this.#at++] = space;
    }
    this.number(headerBytes);
    this.#buffer[this.#at++] = space;
    this.number(size);
    this.#endLine();
    this.add(version);
  }

  add(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  text(text: string): void {
    const start = this.#at;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code > 0x7f) {
        this.#at = start + this.#buffer.write(text, start);
        return;
      }
      this.#buffer[this.#at++] = code;
    }
  }

  number(value: number): void {
    this.#at = writeDigits(this.#buffer, this.#at, value, digitsOf(value));
  }

  /** Ends the header block, and with the payload the message. */
  end(bytes: Buffer, from: number, to: number): void {
    this.#endLine();
    this.#at += bytes.copy(this.#buffer, this.#at, from, to);
    this.#endLine();
  }

  /** The last message asks for an answer after all. It must not have been taken yet. */
  askLast(reply: string): void {
    const more = Buffer.byteLength(reply) + 1;
    this.#reserve(more);
    this.#buffer.copyWithin(this.#replyAt + more, this.#replyAt, this.#at);
    const end = this.#at + more;
    this.#at = this.#replyAt;
    this.text(reply);
    this.#buffer[this.#at] = space;
    this.#at = end;
  }

  /** What was gathered; the next lines have memory of their own. Its number rises, and without one it is never used again. */
  take(number = Number.POSITIVE_INFINITY): Buffer {
    const lines = this.#buffer.subarray(0, this.#at);
    this.#buffer = this.#buffer.subarray(this.#at);
    this.#lastTaken = number;
    this.#at = 0;
    return lines;
  }

  /** What was taken up to this number has arrived: nobody looks at that memory any more. */
  reuse(number: number): void {
    while (this.#full.length > 0 && this.#full[0]!.lastTaken <= number) {
      const { buffer } = this.#full.shift()!;
      if (buffer.length === chunkBytes && this.#idle.length < idleMax) this.#idle.push(buffer);
    }
  }

  #endLine(): void {
    this.#buffer[this.#at++] = carriageReturn;
    this.#buffer[this.#at++] = lineFeed;
  }

  #reserve(needed: number): void {
    if (this.#at + needed <= this.#buffer.length) return;
    const bytes = this.#at + needed;
    const next = (bytes <= chunkBytes ? this.#idle.pop() : undefined) ?? Buffer.allocUnsafeSlow(Math.max(chunkBytes, bytes));
    next.set(this.#buffer.subarray(0, this.#at));
    if (this.#lastTaken < Number.POSITIVE_INFINITY)
      this.#full.push({ buffer: Buffer.from(this.#buffer.buffer), lastTaken: this.#lastTaken });
    this.#lastTaken = Number.POSITIVE_INFINITY;
    this.#buffer = next;
  }
}
