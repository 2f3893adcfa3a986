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

/** Gathers `HPUB` lines. Memory is handed over with `take`, so that nothing that waits to be sent is overwritten. */
export class PublishLines {
  #buffer = Buffer.allocUnsafeSlow(0);
  #at = 0;

  get bytes(): number {
    return this.#at;
  }

  /** `headers` is a complete block; `reply` may be empty. */
  add(subject: string, reply: string, headers: Buffer, payload: Uint8Array): void {
    const size = headers.length + payload.length;
    // A subject takes three bytes a character at most, and the numbers no more than forty.
    const needed = subject.length * 3 + reply.length + size + 64;
    if (this.#at + needed > this.#buffer.length) this.#grow(needed);
    const line = `HPUB ${subject} ${reply === '' ? '' : `${reply} `}${headers.length} ${size}\r\n`;
    this.#at += this.#buffer.write(line, this.#at);
    this.#buffer.set(headers, this.#at);
    this.#at += headers.length;
    this.#buffer.set(payload, this.#at);
    this.#at += payload.length;
    this.#buffer[this.#at++] = 13;
    this.#buffer[this.#at++] = 10;
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
