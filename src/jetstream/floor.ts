import type { OrderedConsumer, Position } from './ordered-consumer.ts';
import type { Frame } from './wire-in.ts';

/** Where an ordered source begins to read, and of which consumer. */
export type Beginning = Position & { consumer: string };

/**
 * What keeps a durable consumer's acknowledgement floor where everything is durable, while its stream is read. Two ways: `BulkAcks` and
 * `MovedFloor`.
 */
export type Floor = {
  /** Sets the reading to what comes after `durable`, or after `given`. Throws what keeps it from being so. */
  begin(durable: OrderedConsumer, given: number): Promise<Beginning>;
  /** A delivery of a message that is given out now. */
  giving(frame: Frame): void;
  /** A delivery of a message that was given out, or was durable, before. */
  givenBefore(sequence: number, frame: Frame): void;
  /** Everything given out so far will be settled as one. */
  mark(sequence: number): void;
  /** Everything up to this mark is durable. */
  settle(sequence: number): void;
  /** Nothing came for a moment. */
  pause(): void;
  /** Resolves when the server has confirmed all that was settled. */
  idle(): Promise<void>;
  close(): Promise<void>;
};

export type FloorEvents = {
  /** The server has confirmed that everything up to here is acknowledged. */
  onAcknowledged(sequence: number): void;
  /** The reading must begin again, and why. */
  onSuspect(why: string): void;
};
