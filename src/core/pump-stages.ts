import type { BackoffLimits } from './backoff.ts';
import type { BatchLimits } from './batch.ts';
import type { GatewayError } from './errors.ts';
import type { Message, MessageSource, Outcome, Refusal } from './strategy.ts';

/**
 * What became of an item. One that holds many things may fall apart: what is not done of it is items of their own from then on.
 */
export type Verdict<Item> = Outcome | { is: 'split'; parts: readonly { item: Item; outcome: Outcome }[] };

/** What a program does with messages; the pump does the rest. */
export type PumpStages<Item> = {
  source: MessageSource;
  /** A message's items: what batches are made of. None: nothing to do, it is acknowledged. Throws (not transient) for a poison message. */
  open(message: Message): Promise<readonly Item[]>;
  bytesOf(item: Item): number;
  /** How many of a batch's items it counts for. Default 1. */
  countOf?(item: Item): number;
  /** One verdict an item. A throw concerns the whole batch, which is tried again without a limit: nothing is lost, `onBlocked` tells. */
  deliver(items: readonly Item[]): Promise<readonly Verdict<Item>[]>;
  /**
   * Keeps what cannot be delivered; resolves once it is durable. `item` is absent when the message itself cannot be opened.
   * A transient throw is tried again; any other ends the run.
   */
  deadLetter(message: Message, item: Item | undefined, refusal: Refusal): Promise<void>;
};

export type PumpLimits = {
  batch: BatchLimits;
  /** Batches on their way at once. */
  concurrencyMax: number;
  /** Opened bytes held at once; a single larger message is still taken. */
  heldBytesMax: number;
  retry: BackoffLimits;
  /** Answered tries (status not 0) after which a busy item is dead-lettered; 0 for none. */
  attemptsMax: number;
  /** How often the time allowed for an unsettled message is extended. */
  workingEveryMs: number;
};

export type PumpEvents = {
  onRetry?(items: number): void;
  /** A failure that concerns whole batches and needs a person; undefined when it is over. */
  onBlocked?(error: GatewayError | undefined): void;
  /** So many items are kept as dead letters. */
  onDeadLetter?(refusal: Refusal, items: number): void;
  onSettled?(message: Message): void;
};
