import type { ChangeList } from './change-block.ts';
import type { ChangeEvent, IndexDrop } from './event.ts';

/** A message as a stream holds it, whatever the stream is. */
export type Message = {
  subject: string;
  /** Header names as published; several values of one name are joined by the transport's own rules. */
  headers: ReadonlyMap<string, string>;
  payload: Uint8Array;
  /** Position in the stream it was read from: dense, rising; 0 for a message that is yet to be stored. */
  sequence: number;
  /** When the stream stored it, in ms since 1970. */
  timestamp: number;
  /** 1 for the first delivery. */
  deliveries: number;
};

/** A message that must be settled by exactly one of `ack`, `retryLater`; `working` extends the time allowed for it. */
export type Delivery = {
  message: Message;
  /** Resolves when the stream has confirmed the acknowledgement (double ack). */
  ack(): Promise<void>;
  /** Gives the message back, to be delivered again after `delayMs`. */
  retryLater(delayMs: number): void;
  working(): void;
};

/** Where messages come from. Iteration ends after `stop()`; an error ends it by throwing. */
export interface MessageSource extends AsyncIterable<Delivery> {
  /** Stops delivering; what was delivered may still be settled. */
  stop(): Promise<void>;
}

/** A message to publish. */
export type OutgoingMessage = {
  subject: string;
  payload: Uint8Array;
  /** Deduplication id within the stream's window. */
  id?: string;
  headers?: ReadonlyMap<string, string>;
};

export type Stored = { stream: string; sequence: number; duplicate: boolean };

/** Where messages go. A window of unacknowledged messages is the sink's own affair and bound. */
export interface MessageSink {
  /** Resolves once the stream holds the message durably; waits, without a limit, while the stream is full or away. */
  publish(message: OutgoingMessage): Promise<Stored>;
  /** Waits for what is in flight, then closes. */
  close(): Promise<void>;
}

/** Why a document was not written: for the dead-letter stream. */
export type Refusal = { status: number; type: string; reason: string };

/** What a document is refused for if it is still busy after so many answered tries. */
type LastResort = { tries: number; refusal: Refusal };

/** What became of one document. `busy` is worth trying again, `refused` is not. */
export type Outcome =
  | { is: 'stored' }
  | { is: 'stale' }
  /** `status` 0: there was no answer at all. */
  | { is: 'busy'; status: number; reason: string; atLast?: LastResort }
  | { is: 'refused'; refusal: Refusal };

/** Applies changes to a target. One outcome a change, in order. Throws only what concerns the whole batch and is not transient. */
export interface Writer {
  write(changes: readonly ChangeList[]): Promise<Outcome[]>;
  close(): Promise<void>;
}

/** Decides by the event alone whether it goes on. Pure. */
export interface Filter {
  /** For logs and counters. */
  readonly name: string;
  /** True when the subject alone settles it, so that a frame need not be decoded. */
  readonly needs: 'subject' | 'event';
  passes(event: ChangeEvent): boolean;
}

/** Part of one consistent step of a change source: changes of one index and operation order, or the end of an index. */
export type ChangeBatch = {
  /** Ordered by sequence number; all of one index. Empty when `drop` is there. */
  events: ChangeList;
  /** The index is gone, and the target's is to go too. */
  drop?: IndexDrop;
  /** For message ids and logs: where the events come from, stable across restarts. */
  origin: string;
  /** To be called once the stream holds every event, with the highest stream sequence; moves the checkpoint when its turn comes. */
  stored: (sequence: number) => void;
  /** To be called instead when they could not be stored: the step is given up and read again later. */
  failed: (error: unknown) => void;
};

/** Produces changes. Iteration ends after `stop()`. How many batches may be unsettled at once is the source's own bound. */
export interface ChangeSource extends AsyncIterable<ChangeBatch> {
  stop(): Promise<void>;
}

/** What a listing tells about an object. */
export type StoredObject = {
  key: string;
  bytes: number;
  etag: string;
  /** In ms since 1970, by the store's clock. */
  modifiedAt: number;
};

export type PutOptions = {
  contentType?: string;
  /** Overwrites an object of that key. Default: it is left as it is, and the answer is `exists`. */
  replace?: boolean;
  signal?: AbortSignal | undefined;
};

export type PutOutcome = { is: 'stored'; etag: string } | { is: 'exists' };

/** Both ends included, counted from 0. */
export type ByteRange = { from: number; to: number };

/** One bucket of an object storage. Failures are `GatewayError`s; what can pass by itself or be set right from outside is transient. */
export interface ObjectStore {
  /** For messages: names the bucket. */
  readonly name: string;
  /** Resolves once the object is durable. Sent with a checksum of its content, which the store verifies. */
  put(key: string, body: Uint8Array, options?: PutOptions): Promise<PutOutcome>;
  /** Undefined: no such object. A range that goes beyond the end gives what there is. */
  get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<Buffer | undefined>;
  head(key: string, signal?: AbortSignal): Promise<StoredObject | undefined>;
  /** In order of the keys' UTF-8 bytes, `after` itself left out. */
  list(prefix: string, after?: string, signal?: AbortSignal): AsyncIterable<StoredObject>;
  /** Keys that are not there are passed over. */
  remove(keys: readonly string[], signal?: AbortSignal): Promise<void>;
  /** `exists`: is the bucket there? `create`: makes it where it is not; true when it was made. */
  bucket(action: 'exists' | 'create', signal?: AbortSignal): Promise<boolean>;
  close(): Promise<void>;
}
