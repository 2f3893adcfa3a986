import type { Msg } from '@nats-io/transport-node';
import type { Origin } from './delivery.ts';
import type { Frame } from './wire-in.ts';

/** A message of a stream with everything that came over the wire, in its place there. */
export type WireMessage = {
  subject: string;
  sequence: number;
  /** When the stream stored it: whole ms since 1970. */
  timestamp: number;
  /** And the ns within that ms. */
  nanos: number;
  bytes: Buffer;
  /** The header block as it came, `NATS/1.0\r\n` to the blank line, lies from here to the payload; empty for a message without headers. */
  headersAt: number;
  payloadAt: number;
  end: number;
};

/** What the library's message holds and does not declare: the bytes that its getters decode anew. */
type Raw = { _msg?: { reply?: Uint8Array } };

const none = new Uint8Array(0);

export function replyBytes(received: Msg): Uint8Array {
  return (received as Raw)._msg?.reply ?? (received.reply === undefined ? none : Buffer.from(received.reply));
}

/** Messages out of frames: one after the other in the same object. */
export class WireMessages {
  readonly #subjects = new SubjectTexts();
  readonly #message: WireMessage = {
    subject: '',
    sequence: 0,
    timestamp: 0,
    nanos: 0,
    bytes: Buffer.alloc(0),
    headersAt: 0,
    payloadAt: 0,
    end: 0,
  };

  of(frame: Frame, origin: Origin): WireMessage {
    const message = this.#message;
    message.subject = this.#subjects.of(frame.bytes, frame.subjectAt, frame.subjectEnd);
    message.sequence = origin.sequence;
    message.timestamp = origin.timestamp;
    message.nanos = origin.nanos;
    message.bytes = frame.bytes;
    message.headersAt = frame.headersAt;
    message.payloadAt = frame.payloadAt;
    message.end = frame.end;
    return message;
  }
}

const slots = 1_024;

/** Subjects as strings. Streams repeat theirs: the same bytes give the same string, which also spares whoever hashes it. */
class SubjectTexts {
  readonly #known: ({ bytes: Uint8Array; text: string } | undefined)[] = Array.from({ length: slots });

  of(bytes: Buffer, from: number, to: number): string {
    let hash = to - from;
    for (let at = from; at < to; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
    const slot = (hash ^ (hash >>> 10) ^ (hash >>> 20)) & (slots - 1);
    const known = this.#known[slot];
    if (known !== undefined && isAt(known.bytes, bytes, from, to)) return known.text;
    const text = bytes.toString('utf8', from, to);
    this.#known[slot] = { bytes: Buffer.from(text), text };
    return text;
  }
}

function isAt(known: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (known.length !== to - from) return false;
  for (let at = known.length - 1; at >= 0; at--) if (known[at] !== bytes[from + at]) return false;
  return true;
}
