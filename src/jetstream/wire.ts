import type { Msg } from '@nats-io/transport-node';

/** A message of a stream with everything that came over the wire. */
export type WireMessage = {
  readonly subject: string;
  /** The header block as it came, `NATS/1.0\r\n` to the blank line; empty for a message without headers. */
  readonly headers: Uint8Array;
  readonly payload: Uint8Array;
  readonly sequence: number;
  /** When the stream stored it: whole ms since 1970. */
  readonly timestamp: number;
  /** And the ns within that ms. */
  readonly nanos: number;
};

/** What the library's message holds and does not declare: the bytes that its getters decode anew. */
type Raw = {
  _msg?: { subject: Uint8Array; reply?: Uint8Array; hdr: number };
  _rdata?: Uint8Array;
};

const none = new Uint8Array(0);

export function replyBytes(received: Msg): Uint8Array {
  return (received as Raw)._msg?.reply ?? (received.reply === undefined ? none : Buffer.from(received.reply));
}

/** Header block and payload, as views that hold only until the next message arrives. */
export function bodyOf(received: Msg): { headers: Uint8Array; payload: Uint8Array } {
  const { _msg: about, _rdata: body } = received as Raw;
  if (about === undefined || body === undefined) throw new TypeError('the NATS library keeps messages in another form');
  if (about.hdr < 0) return { headers: none, payload: body };
  return { headers: body.subarray(0, about.hdr), payload: body.subarray(about.hdr) };
}

const slots = 1_024;

/** Subjects as strings. Streams repeat theirs: the same bytes give the same string, which also spares whoever hashes it. */
export class SubjectTexts {
  readonly #known: ({ bytes: Uint8Array; text: string } | undefined)[] = Array.from({ length: slots });

  of(received: Msg): string {
    const bytes = (received as Raw)._msg?.subject;
    if (bytes === undefined) return received.subject;
    let hash = bytes.length;
    for (let at = 0; at < bytes.length; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
    const slot = (hash ^ (hash >>> 10) ^ (hash >>> 20)) & (slots - 1);
    const known = this.#known[slot];
    if (known !== undefined && equal(known.bytes, bytes)) return known.text;
    const text = received.subject;
    this.#known[slot] = { bytes: bytes.slice(), text };
    return text;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = a.length - 1; at >= 0; at--) if (a[at] !== b[at]) return false;
  return true;
}
