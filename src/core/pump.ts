import { type BackoffLimits, backoffMs, type Chance, pause } from './backoff.ts';
import { Batcher, type BatchLimits } from './batch.ts';
import { describeError, GatewayError, isTransient } from './errors.ts';
import type { Delivery, Message, MessageSource, Outcome, Refusal } from './strategy.ts';

/** What a program does with messages; the pump does the rest. */
export type PumpStages<Item> = {
  source: MessageSource;
  /** A message's items: what batches are made of. None: nothing to do, it is acknowledged. Throws (not transient) for a poison message. */
  open(message: Message): Promise<readonly Item[]>;
  bytesOf(item: Item): number;
  /** One outcome an item. A throw concerns the whole batch, which is tried again: nothing is lost, `onBlocked` tells. */
  deliver(items: readonly Item[]): Promise<readonly Outcome[]>;
  /** Keeps what cannot be delivered; resolves once it is durable. `item` is absent when the message itself cannot be opened. */
  deadLetter(message: Message, item: Item | undefined, refusal: Refusal): Promise<void>;
};

export type PumpLimits = {
  batch: BatchLimits;
  /** Batches on their way at once. */
  concurrencyMax: number;
  /** Opened bytes held at once; a single larger message is still taken. */
  heldBytesMax: number;
  retry: BackoffLimits;
  /** Tries after which a busy item is dead-lettered; 0 for none. */
  attemptsMax: number;
  /** How often the time allowed for an unsettled message is extended. */
  workingEveryMs: number;
};

export type PumpEvents = {
  onOutcomes?(outcomes: readonly Outcome[], tookMs: number): void;
  onRetry?(items: number): void;
  /** A failure that concerns whole batches and needs a person; undefined when it is over. */
  onBlocked?(error: GatewayError | undefined): void;
  onDeadLetter?(refusal: Refusal): void;
  onSettled?(message: Message): void;
};

/** A message on its way: acknowledged when its last item is settled (invariant 1). */
type Held<Item> = { delivery: Delivery; items: readonly Item[]; left: number; bytes: number };
type Piece<Item> = { item: Item; held: Held<Item>; attempts: number };

/** THE loop: source → open → batch → deliver → settle. */
export class Pump<Item> {
  readonly #stages: PumpStages<Item>;
  readonly #limits: PumpLimits;
  readonly #events: PumpEvents;
  readonly #chance: Chance;
  readonly #batcher: Batcher<Piece<Item>>;
  readonly #held = new Set<Held<Item>>();
  readonly #stopping = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  #heldBytes = 0;
  #inFlight = 0;
  #retrying = 0;
  #concurrency: number;
  #blocked = false;
  #flushTimer: NodeJS.Timeout | undefined;
  #idleCheck = false;
  #roomWaiters: (() => void)[] = [];
  #failure: unknown;

  constructor(stages: PumpStages<Item>, limits: PumpLimits, events: PumpEvents = {}, chance: Chance = Math.random) {
    this.#stages = stages;
    this.#limits = limits;
    this.#events = events;
    this.#chance = chance;
    this.#concurrency = limits.concurrencyMax;
    this.#batcher = new Batcher(limits.batch, (piece) => stages.bytesOf(piece.item));
  }

  get stats(): {
    heldMessages: number;
    heldBytes: number;
    inFlight: number;
    retrying: number;
    concurrency: number;
    blocked: boolean;
  } {
    return {
      heldMessages: this.#held.size,
      heldBytes: this.#heldBytes,
      inFlight: this.#inFlight,
      retrying: this.#retrying,
      concurrency: this.#concurrency,
      blocked: this.#blocked,
    };
  }

  /** Runs until `stop()` or until the source ends; resolves when everything held is settled or given back. */
  async run(): Promise<void> {
    const keepAlive = setInterval(() => {
      for (const held of this.#held) held.delivery.working();
    }, this.#limits.workingEveryMs);
    try {
      for await (const delivery of this.#stages.source) {
        await this.#take(delivery);
        await this.#room();
        if (this.#failure !== undefined) throw this.#failure;
      }
      await this.#drain();
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      clearInterval(keepAlive);
      clearTimeout(this.#flushTimer);
    }
  }

  /** Takes no more, delivers what it has, and gives back what would have to wait for another try. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#stages.source.stop();
    this.#wake();
  }

  async #take(delivery: Delivery): Promise<void> {
    const { message } = delivery;
    let items: readonly Item[];
    try {
      items = await this.#stages.open(message);
    } catch (error) {
      if (isTransient(error)) delivery.retryLater(this.#limits.retry.maxMs);
      else this.#track(this.#refuseMessage(delivery, error));
      return;
    }
    const held: Held<Item> = { delivery, items, left: items.length, bytes: 0 };
    for (const item of items) held.bytes += this.#stages.bytesOf(item);
    this.#heldBytes += held.bytes;
    this.#held.add(held);
    if (items.length === 0) this.#settle(held);
    for (const item of items) {
      this.#batcher.add({ item, held, attempts: 0 });
      if (this.#batcher.full) this.#flush();
    }
    this.#flushWhenIdle();
  }

  /** Looks again once the messages that have already arrived are taken in. */
  #flushWhenIdle(): void {
    if (this.#idleCheck) return;
    this.#idleCheck = true;
    setImmediate(() => {
      this.#idleCheck = false;
      this.#flush();
    });
  }

  #flush(): void {
    for (;;) {
      const dueInMs = this.#batcher.dueInMs(this.#inFlight);
      if (dueInMs === undefined || this.#inFlight >= this.#concurrency) return;
      if (dueInMs > 0) {
        this.#flushTimer ??= setTimeout(() => {
          this.#flushTimer = undefined;
          this.#flush();
        }, dueInMs);
        return;
      }
      const batch = this.#batcher.take();
      this.#inFlight++;
      this.#track(this.#deliver(batch));
    }
  }

  async #deliver(batch: readonly Piece<Item>[]): Promise<void> {
    const startedAt = performance.now();
    let outcomes: readonly Outcome[];
    try {
      outcomes = await this.#stages.deliver(batch.map((piece) => piece.item));
      if (outcomes.length !== batch.length) throw new Error(`${outcomes.length} outcomes for ${batch.length} items`);
      this.#unblock();
    } catch (error) {
      this.#block(error);
      outcomes = batch.map(() => ({ is: 'busy', status: 0, reason: describeError(error) }));
    } finally {
      this.#inFlight--;
    }
    this.#events.onOutcomes?.(outcomes, performance.now() - startedAt);
    this.#sort(batch, outcomes);
    this.#flush();
    this.#wake();
  }

  #sort(batch: readonly Piece<Item>[], outcomes: readonly Outcome[]): void {
    const again: Piece<Item>[] = [];
    for (const [at, outcome] of outcomes.entries()) {
      const piece = batch[at]!;
      switch (outcome.is) {
        case 'stored':
        case 'stale':
          this.#done(piece.held);
          break;
        case 'refused':
          this.#track(this.#refuse(piece, outcome.refusal));
          break;
        case 'busy':
          piece.attempts++;
          if (this.#limits.attemptsMax > 0 && piece.attempts >= this.#limits.attemptsMax && !this.#blocked) {
            this.#track(this.#refuse(piece, { status: outcome.status, type: 'retries_exhausted', reason: outcome.reason }));
          } else {
            again.push(piece);
          }
      }
    }
    if (again.length > 0) this.#track(this.#retry(again));
    this.#adapt(again.length > 0);
  }

  /** Additive increase, multiplicative decrease: finds the number of batches that the target takes. */
  #adapt(wasBusy: boolean): void {
    this.#concurrency = wasBusy
      ? Math.max(1, this.#concurrency / 2)
      : Math.min(this.#limits.concurrencyMax, this.#concurrency + 0.1);
  }

  async #retry(pieces: readonly Piece<Item>[]): Promise<void> {
    this.#retrying += pieces.length;
    this.#events.onRetry?.(pieces.length);
    await pause(backoffMs(Math.max(...pieces.map((p) => p.attempts)), this.#limits.retry, this.#chance), this.#stopping.signal);
    this.#retrying -= pieces.length;
    if (this.#stopping.signal.aborted) {
      for (const held of new Set(pieces.map((p) => p.held))) this.#giveBack(held);
      return;
    }
    for (const piece of pieces) this.#batcher.add(piece);
    this.#flush();
  }

  async #refuse(piece: Piece<Item>, refusal: Refusal): Promise<void> {
    await this.#stages.deadLetter(piece.held.delivery.message, piece.item, refusal);
    this.#events.onDeadLetter?.(refusal);
    this.#done(piece.held);
  }

  async #refuseMessage(delivery: Delivery, error: unknown): Promise<void> {
    const held: Held<Item> = { delivery, items: [], left: 0, bytes: 0 };
    this.#held.add(held);
    const refusal = { status: 0, type: error instanceof GatewayError ? error.code : 'UNREADABLE', reason: describeError(error) };
    await this.#stages.deadLetter(delivery.message, undefined, refusal);
    this.#events.onDeadLetter?.(refusal);
    this.#settle(held);
  }

  #done(held: Held<Item>): void {
    held.left--;
    if (held.left === 0) this.#settle(held);
  }

  #settle(held: Held<Item>): void {
    if (!this.#held.has(held)) return;
    this.#track(
      held.delivery.ack().finally(() => {
        this.#release(held);
        this.#events.onSettled?.(held.delivery.message);
      }),
    );
  }

  #giveBack(held: Held<Item>): void {
    if (!this.#held.has(held)) return;
    held.delivery.retryLater(0);
    this.#release(held);
  }

  #release(held: Held<Item>): void {
    if (!this.#held.delete(held)) return;
    this.#heldBytes -= held.bytes;
    this.#wake();
  }

  /** Resolves when there is room for another message (invariant 8). */
  async #room(): Promise<void> {
    while (this.#heldBytes >= this.#limits.heldBytesMax && this.#failure === undefined && !this.#stopping.signal.aborted)
      await this.#change();
  }

  async #drain(): Promise<void> {
    while (this.#held.size > 0 || this.#inFlight > 0 || this.#tasks.size > 0) {
      if (this.#failure !== undefined) return;
      this.#flush();
      await this.#change();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  #wake(): void {
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const wake of waiters) wake();
  }

  #block(error: unknown): void {
    this.#blocked = true;
    this.#events.onBlocked?.(
      error instanceof GatewayError
        ? error
        : new GatewayError('DELIVERY_FAILED', describeError(error), { cause: error, transient: true }),
    );
  }

  #unblock(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#events.onBlocked?.(undefined);
  }

  #track(task: Promise<void>): void {
    const tracked = task
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#tasks.delete(tracked);
        this.#wake();
      });
    this.#tasks.add(tracked);
  }
}
