import type { GatewayError } from '../core/errors.ts';
import type { MessageSink } from '../core/strategy.ts';

export type SinkSettings = {
  stream: string;
  /** Messages that may be unacknowledged at once. */
  windowMessages?: number;
  /** Their bytes; one message above it is let through alone. */
  windowBytes?: number;
  /** Calls of `publish` that may wait for the window. */
  queueMessages?: number;
  /** Then a message is published again, under the same id. */
  ackTimeoutMs?: number;
  /** The stream's last sequence when the sink is opened, so that a regress shows from the first acknowledgement on. */
  highestSequence?: number;
};

export type SinkEvents = {
  /** True: the stream refuses messages for want of room. False: everything it refused is stored. */
  onFull?: (full: boolean, reason: string) => void;
  /** The stream gave a sequence it had given before: it was rolled back or made anew. */
  onRegress?: (seen: { sequence: number; highest: number }) => void;
  /** A publish is tried again; at most once a second. */
  onRetry?: (reason: string) => void;
};

export interface JetStreamSink extends MessageSink {
  /** Resolves when the window has room: to be awaited before `publish` where many messages are at hand. */
  room(): Promise<void>;
  /** Tries now what waits: space was made, or the server is back. */
  kick(): void;
  /** Rejects everything that is not stored yet; the sink remains usable. */
  abort(error: GatewayError): void;
  readonly inFlight: { messages: number; bytes: number };
  readonly full: boolean;
  readonly highestSequence: number;
}
