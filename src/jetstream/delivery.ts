import type { Msg } from '@nats-io/transport-node';
import type { Delivery, Message } from '../core/strategy.ts';
import { headerMap } from './headers.ts';

/** What the reply subject of a delivered message tells. */
export type Origin = { sequence: number; timestamp: number; deliveries: number };

/**
 * Reads `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time in ns>.<pending>`, or the newer form with
 * `<domain>.<account hash>` before the stream (ADR-15). Undefined: not a delivery, but a status message.
 */
export function readOrigin(reply: string): Origin | undefined {
  if (!reply.startsWith('$JS.ACK.')) return undefined;
  const tokens = reply.split('.');
  const at = tokens.length === 9 ? 4 : tokens.length >= 11 ? 6 : -1;
  if (at < 0) return undefined;
  const deliveries = Number(tokens[at]);
  const sequence = Number(tokens[at + 1]);
  const timestamp = Number(tokens[at + 3]?.slice(0, -6));
  return Number.isNaN(deliveries + sequence + timestamp) ? undefined : { sequence, timestamp, deliveries };
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
