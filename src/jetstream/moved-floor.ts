import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import { nanos, nuid } from '@nats-io/transport-node';
import { pause, type Clock } from './clock.ts';
import type { NatsLink } from './connect.ts';
import { natsFailure } from './failures.ts';
import type { Beginning, Floor, FloorEvents } from './floor.ts';
import { moveTo, type OrderedConsumer } from './ordered-consumer.ts';

/** A reader that nobody asks goes by itself. */
const readerIdleMs = 60_000;
/** The floor moves once in so long: where filters are narrow, the server counts what is left each time. */
const moveEveryMs = 500;

/**
 * Reads by a consumer without acknowledgements, made for this reading, which costs nats-server a third less (measured: docs/decisions/0004),
 * and moves the durable consumer's floor by request. For streams that do not let acknowledged messages go; the durable one
 * is what protects the rest where they begin to. Needs nats-server 2.14.
 */
export class MovedFloor implements Floor {
  readonly #link: NatsLink;
  readonly #clock: Clock;
  readonly #events: FloorEvents;
  #durable: OrderedConsumer | undefined;
  #reader: string | undefined;
  /** Everything up to here is durable, and the server has confirmed it up to there. */
  #settled = 0;
  #confirmed = 0;
  #moving: Promise<void> | undefined;
  #hurry: (() => void) | undefined;
  #impatient = false;
  #closed = false;

  constructor(link: NatsLink, clock: Clock, events: FloorEvents) {
    this.#link = link;
    this.#clock = clock;
    this.#events = events;
  }

  async begin(durable: OrderedConsumer, given: number): Promise<Beginning> {
    this.#durable = durable;
    await this.#removeReader();
    await moveTo(this.#link, durable);
    this.#confirmed = durable.startSequence - 1;
    // More may have been settled meanwhile.
    this.settle(Math.max(this.#settled, this.#confirmed));
    const consumer = `${durable.consumer}-${nuid.next()}`;
    const { stream, filterSubjects } = durable;
    try {
      await this.#link.manager.consumers.add(stream, {
        name: consumer,
        ack_policy: AckPolicy.None,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: given + 1,
        inactive_threshold: nanos(readerIdleMs),
        mem_storage: true,
        num_replicas: 1,
        ...(filterSubjects.length === 0 ? {} : { filter_subjects: [...filterSubjects] }),
      });
    } catch (error) {
      throw natsFailure(error, `creating consumer ${consumer} of stream ${stream}`);
    }
    this.#reader = consumer;
    return { consumer, consumerSequence: 1, sequence: undefined };
  }

  giving(): void {}

  givenBefore(): void {}

  mark(): void {}

  settle(sequence: number): void {
    this.#settled = sequence;
    this.#moving ??= this.#move().finally(() => (this.#moving = undefined));
  }

  pause(): void {}

  async idle(): Promise<void> {
    this.#impatient = true;
    this.#hurry?.();
    this.settle(this.#settled);
    await this.#moving;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#hurry?.();
    await this.#removeReader();
  }

  async #move(): Promise<void> {
    while (this.#confirmed < this.#settled && !this.#closed) {
      const sequence = this.#settled;
      try {
        await moveTo(this.#link, { ...this.#durable!, startSequence: sequence + 1 });
      } catch {
        this.#events.onSuspect('an acknowledgement was not confirmed');
        return;
      }
      this.#confirmed = Math.max(this.#confirmed, sequence);
      this.#events.onAcknowledged(sequence);
      if (this.#impatient) continue;
      await Promise.race([pause(this.#clock, moveEveryMs), new Promise<void>((resolve) => (this.#hurry = resolve))]);
    }
  }

  /** Where it cannot be removed, it goes by itself. */
  async #removeReader(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined || !this.#link.connected) return;
    await this.#link.manager.consumers.delete(this.#durable!.stream, reader).catch(() => false);
  }
}
