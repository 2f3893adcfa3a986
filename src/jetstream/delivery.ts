import type { Msg } from '@nats-io/transport-node';
import type { Delivery, Message } from '../core/strategy.ts';
import { digits } from './digits.ts';
import { headerMap } from './headers.ts';

/** What the reply subject of a delivered message tells. */
export type Origin = {
  sequence: number;
  /** Whole ms since 1970, and the ns within that ms. */
  timestamp: number;
  nanos: number;
  deliveries: number;
  /** Counts deliveries of the consumer, repeated ones included: without gaps. */
  consumerSequence: number;
  /** Messages that the consumer has yet to deliver after this one. */
  pending: number;
};

const prefix = Buffer.from('$JS.ACK.');
const dot = 0x2e;
/** Digits of the time that are ns within a ms. */
const nanoDigits = 6;
const dots = new Int32Array(16);

/**
 * Reads `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time in ns>.<pending>`, or the newer form with
 * `<domain>.<account hash>` before the stream (ADR-15). Undefined: not a delivery, but a status message.
 */
export function readOrigin(reply: Uint8Array): Origin | undefined {
  const origin = emptyOrigin();
  return readOriginInto(origin, reply, 0, reply.length) ? origin : undefined;
}

export function emptyOrigin(): Origin {
  return { sequence: 0, timestamp: 0, nanos: 0, deliveries: 0, consumerSequence: 0, pending: 0 };
}

/** As `readOrigin`, of a reply subject that lies among other bytes. Every message passes here: nothing is made. */
export function readOriginInto(origin: Origin, bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from < prefix.length) return false;
  for (let at = 0; at < prefix.length; at++) if (bytes[from + at] !== prefix[at]) return false;
  let count = 0;
  for (let at = from; at < to && count < dots.length; at++) if (bytes[at] === dot) dots[count++] = at;
  const first = count === 8 ? 4 : count >= 10 ? 6 : -1;
  if (first < 0) return false;
  const end = (token: number): number => (token < count ? dots[token]! : to);
  const token = (at: number): number => digits(bytes, dots[at - 1]! + 1, end(at));
  const timeFrom = dots[first + 2]! + 1;
  const nanosFrom = end(first + 3) - nanoDigits;
  origin.deliveries = token(first);
  origin.sequence = token(first + 1);
  origin.consumerSequence = token(first + 2);
  origin.timestamp = digits(bytes, timeFrom, nanosFrom);
  origin.nanos = digits(bytes, nanosFrom, nanosFrom + nanoDigits);
  origin.pending = token(first + 4);
  return !Number.isNaN(origin.deliveries + origin.sequence + origin.timestamp);
}

/** A message as the client library received it; headers are decoded when they are asked for. */
class ReceivedMessage implements Message {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly sequence: number;
  readonly timestamp: number;
  readonly deliveries: number;
  readonly #received: Msg;
  #headers: ReadonlyMap<string, string> | undefined;

  constructor(received: Msg, origin: Origin) {
    this.#received = received;
    this.subject = received.subject;
    this.payload = received.data;
    this.sequence = origin.sequence;
    this.timestamp = origin.timestamp;
    this.deliveries = origin.deliveries;
  }

  get headers(): ReadonlyMap<string, string> {
    this.#headers ??= headerMap(this.#received.headers);
    return this.#headers;
  }
}

export function receivedMessage(received: Msg, origin: Origin): Message {
  return new ReceivedMessage(received, origin);
}

/** Where a delivery's fate is told: the source that delivered it. */
export type Settlement = {
  acknowledge(delivery: ReceivedDelivery): Promise<void>;
  giveBack(delivery: ReceivedDelivery, delayMs: number): void;
  extend(delivery: ReceivedDelivery): void;
};

export class ReceivedDelivery implements Delivery {
  readonly message: Message;
  /** Acknowledgements go to this subject. */
  readonly reply: string;
  /** Size as the server counts it against a pull request. */
  readonly bytes: number;
  readonly #settlement: Settlement;
  settled = false;

  constructor(message: Message, reply: string, bytes: number, settlement: Settlement) {
    this.message = message;
    this.reply = reply;
    this.bytes = bytes;
    this.#settlement = settlement;
  }

  ack(): Promise<void> {
    return this.#settlement.acknowledge(this);
  }

  retryLater(delayMs: number): void {
    this.#settlement.giveBack(this, delayMs);
  }

  working(): void {
    this.#settlement.extend(this);
  }
}
