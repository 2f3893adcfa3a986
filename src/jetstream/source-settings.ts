import type { GatewayError } from '../core/errors.ts';
import type { MessageSource } from '../core/strategy.ts';

export type SourceSettings = {
  stream: string;
  /** Durable name. Sources with the same one share the work. */
  consumer: string;
  filterSubjects?: readonly string[];
  /** Without a word for so long, a message is delivered again. */
  ackWaitMs?: number;
  /** Unacknowledged messages of all sources that share the consumer. */
  maxAckPending?: number;
  /** Messages delivered to this source and not settled. */
  windowMessages?: number;
  /** Their bytes; at least two of the largest messages the server takes. */
  windowBytes?: number;
};

export type SourceEvents = {
  /**
   * CONSUMER_RECREATED (its position was lost; it starts over, which versions make harmless), CONSUMER_FILTER_CHANGED, STREAM_MISSING (waits
   * for it), STREAM_BACK, PULL_FAILED (tried again).
   */
  onWarning?: (warning: GatewayError) => void;
};

export type SourceLag = {
  /** Not delivered yet. */
  pending: number;
  /** Delivered and not acknowledged. */
  ackPending: number;
  /** Of those, delivered more than once. */
  redelivered: number;
};

export interface JetStreamSource extends MessageSource {
  /** Of the consumer, whoever reads it. Throws NATS_*, STREAM_MISSING, CONSUMER_MISSING. */
  lag(): Promise<SourceLag>;
  readonly outstanding: { messages: number; bytes: number };
}
