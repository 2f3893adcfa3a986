import type { NatsConnection } from '@nats-io/transport-node';

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
const carriageReturn = 13;
const lineFeed = 10;

/** Size of the header block that these lines make. */
export function headerBytesOf(own: string, lines: Uint8Array): number {
  return 'NATS/1.0\r\n\r\n'.length + Buffer.byteLength(own) + lines.length;
}

/** Gathers `HPUB` lines. Memory is handed over with `take`, so that nothing that waits to be sent is overwritten. */
export class PublishLines {
  #buffer = Buffer.allocUnsafeSlow(0);
  #at = 0;

  get bytes(): number {
    return this.#at;
  }

  /**
   * `own` are header lines as text, `lines` others as bytes, each line with its end; `headerBytes` is what `headerBytesOf` says of them.
   * `reply` may be empty. A message costs one conversion of text, and copies.
   */
  add(subject: string, reply: string, own: string, lines: Uint8Array, headerBytes: number, payload: Uint8Array): void {
    const size = headerBytes + payload.length;
    // A subject takes three bytes a character at most, and the numbers no more than forty.
    const needed = subject.length * 3 + reply.length + size + 64;
    if (this.#at + needed > this.#buffer.length) this.#grow(needed);
    const buffer = this.#buffer;
    const answer = reply === '' ? '' : `${reply} `;
    let at = this.#at + buffer.write(`HPUB ${subject} ${answer}${headerBytes} ${size}\r\nNATS/1.0\r\n${own}`, this.#at);
    if (lines.length > 0) {
      buffer.set(lines, at);
      at += lines.length;
    }
    buffer[at++] = carriageReturn;
    buffer[at++] = lineFeed;
    buffer.set(payload, at);
    at += payload.length;
    buffer[at++] = carriageReturn;
    buffer[at++] = lineFeed;
    this.#at = at;
  }

  /** What was gathered; the next lines have memory of their own. */
  take(): Buffer {
    const lines = this.#buffer.subarray(0, this.#at);
    this.#buffer = this.#buffer.subarray(this.#at);
    this.#at = 0;
    return lines;
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(chunkBytes, this.#at + needed));
    larger.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = larger;
  }
}
