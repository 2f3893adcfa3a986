import { backoffMs, type Chance, pause } from './backoff.ts';
import { Batcher } from './batch.ts';
import { describeError, GatewayError, isTransient } from './errors.ts';
import { type Held, HeldMessages } from './held.ts';
import type { PumpEvents, PumpLimits, PumpStages, Verdict } from './pump-stages.ts';
import type { Delivery, Outcome, Refusal } from './strategy.ts';

export type { PumpEvents, PumpLimits, PumpStages, Verdict } from './pump-stages.ts';

/** `attempts` lengthen the pause; `answers` are the tries that reached the other side, and only they are limited. */
type Piece<Item> = { item: Item; held: Held; attempts: number; answers: number };

/** THE loop: source → open → batch → deliver → settle. */
export class Pump<Item> {
  readonly #stages: PumpStages<Item>;
  readonly #limits: PumpLimits;
  readonly #events: PumpEvents;
  readonly #chance: Chance;
  readonly #batcher: Batcher<Piece<Item>>;
  readonly #held: HeldMessages;
  readonly #stopping = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  #inFlight = 0;
  #retrying = 0;
  #concurrency: number;
  #blocked = false;
  #abandoned = false;
  #flushTimer: NodeJS.Timeout | undefined;
  #idleCheck = false;
  #failure: unknown;

  constructor(stages: PumpStages<Item>, limits: PumpLimits, events: PumpEvents = {}, chance: Chance = Math.random) {
    this.#stages = stages;
    this.#limits = limits;
    this.#events = events;
    this.#chance = chance;
    this.#concurrency = limits.concurrencyMax;
    this.#held = new HeldMessages((message) => events.onSettled?.(message));
    this.#batcher = new Batcher(
      limits.batch,
      (piece) => stages.bytesOf(piece.item),
      (piece) => this.#countOf(piece.item),
    );
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
      heldBytes: this.#held.bytes,
      inFlight: this.#inFlight,
      retrying: this.#retrying,
      concurrency: this.#concurrency,
      blocked: this.#blocked,
    };
  }

  /** Runs until `stop()` or until the source ends; resolves when everything held is settled or given back. */
  async run(): Promise<void> {
    const keepAlive = setInterval(() => this.#held.working(), this.#limits.workingEveryMs);
    try {
      for await (const delivery of this.#stages.source) {
        await this.#take(delivery);
        await this.#room();
      }
      await this.#drain();
    } catch (error) {
      this.#failure ??= error;
    }
    clearInterval(keepAlive);
    clearTimeout(this.#flushTimer);
    this.#held.giveBackAll();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Takes no more, delivers what it has, and gives back what would have to wait for another try. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#held.wake();
    await this.#stages.source.stop();
    this.#held.wake();
  }

  /** Ends a drain that takes too long: gives back everything at once. What is on its way may still take effect, and comes again. */
  abandon(): void {
    this.#abandoned = true;
    this.#held.wake();
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
    const bytes = items.reduce((sum, item) => sum + this.#stages.bytesOf(item), 0);
    const held = this.#held.hold(delivery, items.length, bytes);
    if (items.length === 0) this.#settle(held);
    for (const item of items) {
      this.#batcher.add({ item, held, attempts: 0, answers: 0 });
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
    if (this.#blocked && this.#stopping.signal.aborted) this.#giveBackWaiting();
    while (this.#failure === undefined && !this.#abandoned) {
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
    let verdicts: readonly Verdict<Item>[];
    try {
      verdicts = await this.#stages.deliver(batch.map((piece) => piece.item));
      if (verdicts.length !== batch.length) throw new Error(`${verdicts.length} verdicts for ${batch.length} items`);
      this.#unblock();
    } catch (error) {
      this.#block(error);
      verdicts = batch.map(() => ({ is: 'busy', status: 0, reason: describeError(error) }));
    } finally {
      this.#inFlight--;
    }
    this.#sort(batch, verdicts);
    this.#flush();
    this.#held.wake();
  }

  #sort(batch: readonly Piece<Item>[], verdicts: readonly Verdict<Item>[]): void {
    const again: Piece<Item>[] = [];
    for (const [at, verdict] of verdicts.entries()) {
      const piece = batch[at]!;
      if (verdict.is !== 'split') {
        this.#judge(piece, verdict, again);
        continue;
      }
      piece.held.left += verdict.parts.length;
      this.#held.grow(
        piece.held,
        verdict.parts.reduce((sum, { item }) => sum + this.#stages.bytesOf(item), 0),
      );
      for (const { item, outcome } of verdict.parts) this.#judge({ ...piece, item }, outcome, again);
      this.#done(piece.held);
    }
    if (again.length > 0) this.#track(this.#retry(again));
    this.#adapt(again.length > 0);
  }

  /** What is to be tried again goes to `again`. */
  #judge(piece: Piece<Item>, outcome: Outcome, again: Piece<Item>[]): void {
    switch (outcome.is) {
      case 'stored':
      case 'stale':
        this.#done(piece.held);
        break;
      case 'refused':
        this.#track(this.#refuse(piece, outcome.refusal));
        break;
      case 'busy': {
        piece.attempts++;
        if (outcome.status !== 0) piece.answers++;
        const { tries, refusal } = outcome.atLast ?? {
          tries: this.#limits.attemptsMax,
          refusal: { status: outcome.status, type: 'retries_exhausted', reason: outcome.reason },
        };
        if (tries > 0 && piece.answers >= tries) this.#track(this.#refuse(piece, refusal));
        else again.push(piece);
      }
    }
  }

  /** Additive increase, multiplicative decrease: finds the number of batches that the target takes. */
  #adapt(wasBusy: boolean): void {
    this.#concurrency = wasBusy
      ? Math.max(1, this.#concurrency / 2)
      : Math.min(this.#limits.concurrencyMax, this.#concurrency + 0.1);
  }

  async #retry(pieces: readonly Piece<Item>[]): Promise<void> {
    const items = pieces.reduce((sum, piece) => sum + this.#countOf(piece.item), 0);
    this.#retrying += items;
    this.#events.onRetry?.(items);
    await pause(backoffMs(most(pieces.map((p) => p.attempts)), this.#limits.retry, this.#chance), this.#stopping.signal);
    this.#retrying -= items;
    if (this.#stopping.signal.aborted) {
      for (const held of new Set(pieces.map((p) => p.held))) this.#held.giveBack(held);
      return;
    }
    for (const piece of pieces) this.#batcher.add(piece);
    this.#flush();
  }

  async #refuse(piece: Piece<Item>, refusal: Refusal): Promise<void> {
    if (await this.#keepLetter(piece.held, piece.item, refusal)) this.#done(piece.held);
  }

  async #refuseMessage(delivery: Delivery, error: unknown): Promise<void> {
    const held = this.#held.hold(delivery, 0, 0);
    const refusal = { status: 0, type: error instanceof GatewayError ? error.code : 'UNREADABLE', reason: describeError(error) };
    if (await this.#keepLetter(held, undefined, refusal)) this.#settle(held);
  }

  /** True once the dead letter is durable. False when the program stops first: the message is given back instead. */
  async #keepLetter(held: Held, item: Item | undefined, refusal: Refusal): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#stages.deadLetter(held.delivery.message, item, refusal);
        this.#events.onDeadLetter?.(refusal, this.#countOf(item));
        return true;
      } catch (error) {
        if (!isTransient(error)) throw error;
      }
      await pause(backoffMs(attempt, this.#limits.retry, this.#chance), this.#stopping.signal);
      if (!this.#stopping.signal.aborted) continue;
      this.#held.giveBack(held);
      return false;
    }
  }

  /** A message that cannot be opened is one. */
  #countOf(item: Item | undefined): number {
    return (item === undefined ? undefined : this.#stages.countOf?.(item)) ?? 1;
  }

  #done(held: Held): void {
    held.left--;
    if (held.left === 0) this.#settle(held);
  }

  #settle(held: Held): void {
    this.#track(this.#held.acknowledge(held));
  }

  /** The other side takes nothing and the program stops: what waits for a turn need not find out one by one. */
  #giveBackWaiting(): void {
    while (this.#batcher.length > 0) for (const piece of this.#batcher.take()) this.#held.giveBack(piece.held);
  }

  /** Resolves when there is room for another message (invariant 8). */
  async #room(): Promise<void> {
    while (this.#held.bytes >= this.#limits.heldBytesMax && this.#failure === undefined && !this.#stopping.signal.aborted)
      await this.#held.change();
  }

  async #drain(): Promise<void> {
    while (this.#held.size > 0 || this.#inFlight > 0 || this.#tasks.size > 0) {
      if (this.#failure !== undefined || this.#abandoned) return;
      this.#flush();
      await this.#held.change();
    }
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
        void this.#stages.source.stop();
      })
      .finally(() => {
        this.#tasks.delete(tracked);
        this.#held.wake();
      });
    this.#tasks.add(tracked);
  }
}

function most(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => Math.max(a, b), 0);
}
