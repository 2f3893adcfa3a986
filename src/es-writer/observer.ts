import type { GatewayError } from '../core/errors.ts';
import type { Message, Outcome, Refusal } from '../core/strategy.ts';
import type { BulkFact, GcDeletesFact } from '../elastic/index.ts';
import type { SourceLag } from '../jetstream/index.ts';
import type { Log } from '../service/log.ts';
import type { CounterSeries } from '../service/instruments.ts';
import type { Metrics } from '../service/metrics.ts';
import { Refusals } from '../service/refusals.ts';
import { Troubles } from '../service/troubles.ts';
import { type WriterMetrics, writerMetrics } from './metrics.ts';
import { capturedAt, commonOf, countOf, type WriteLoad } from './open.ts';

/** What the writer holds and does at this moment. */
export type Held = {
  heldMessages: number;
  heldBytes: number;
  inFlight: number;
  retrying: number;
  concurrency: number;
  blocked: boolean;
};

/** A target that has been too busy for every document for so long is a reason not to be ready. */
const busyTooLongMs = 10_000;

/** Tells metrics, the log, /stats and readiness what happens. */
export class Observer {
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #meters: WriterMetrics;
  readonly #outcomes = { stored: 0, stale: 0, refused: 0 };
  readonly #late = { written: 0, stale: 0, scans: 0, scannedMessages: 0 };
  readonly #troubles: Troubles;
  readonly #refusals: Refusals;
  readonly #gcDeletes = new Map<string, number>();
  #deadLetters = 0;
  #frames = 0;
  #frameBytes = 0;
  #redeliveries = 0;
  #retries = 0;
  #busySince: number | undefined;
  #busyReason = '';
  #lag: SourceLag | undefined;

  constructor(log: Log, metrics: Metrics) {
    this.#log = log;
    this.#troubles = new Troubles(log);
    this.#refusals = new Refusals(log);
    this.#metrics = metrics;
    this.#meters = writerMetrics(metrics);
  }

  received(message: Message): void {
    this.#frameBytes += message.payload.length;
    this.#meters.frameBytes.with({}).inc(message.payload.length);
    if (message.deliveries === 1) return;
    this.#redeliveries++;
    this.#meters.redeliveries.with({}).inc();
  }

  /** One outcome a change. */
  outcomes(loads: readonly WriteLoad[], outcomes: readonly Outcome[]): void {
    let answered = false;
    let newest = 0;
    let at = 0;
    for (const load of loads) {
      const { index } = commonOf(load);
      const captured = capturedAt(load);
      let counted: Outcome['is'] | undefined;
      let count: CounterSeries | undefined;
      for (const end = at + countOf(load); at < end; at++) {
        const outcome = outcomes[at]!;
        if (outcome.is === 'busy') {
          this.#busyReason = outcome.reason;
          this.#meters.retries.with({ reason: outcome.status === 0 ? 'connection' : 'busy' }).inc();
          continue;
        }
        answered = true;
        this.#outcomes[outcome.is]++;
        // Those of one outcome stand together: the series is looked up where it changes.
        if (outcome.is !== counted) {
          counted = outcome.is;
          count = this.#meters.documents.with({ index, outcome: counted });
        }
        count?.inc();
        newest = Math.max(newest, captured);
      }
    }
    if (!answered) {
      this.#busySince ??= Date.now();
      return;
    }
    this.#busySince = undefined;
    if (newest > 0) this.#meters.lagSeconds.with({}).set(Math.max(0, Date.now() - newest) / 1000);
  }

  bulk({ bytes, tookMs, status }: BulkFact): void {
    const result =
      status === 0
        ? 'failed'
        : status < 300
          ? 'ok'
          : status === 400 || status === 413
            ? 'split'
            : status === 429 || status >= 500
              ? 'busy'
              : 'failed';
    this.#meters.bulks.with({ result }).inc();
    this.#meters.bulkSeconds.with({}).observe(tookMs / 1000);
    this.#meters.bulkBytes.with({}).observe(bytes);
  }

  late({ written, stale }: { written: number; stale: number }): void {
    this.#late.written += written;
    this.#late.stale += stale;
    this.#meters.lateWrites.with({ outcome: 'written' }).inc(written);
    this.#meters.lateWrites.with({ outcome: 'stale' }).inc(stale);
  }

  scanned({ messages }: { messages: number }): void {
    this.#late.scans++;
    this.#late.scannedMessages += messages;
    this.#meters.lateScans.with({}).inc();
  }

  retried(items: number): void {
    this.#retries += items;
  }

  deadLetter(refusal: Refusal, items = 1): void {
    this.#deadLetters += items;
    this.#meters.deadLetters.with({ type: refusal.type }).inc(items);
  }

  refused(where: Parameters<Refusals['tell']>[0], refusal: Refusal): void {
    this.#refusals.tell(where, refusal);
  }

  foreign(): void {
    this.#meters.foreign.with({}).inc();
  }

  /** `captured`: when the first change of the frame was read at the source, in ms since 1970; 0 where there is none. */
  settled(captured: number): void {
    this.#frames++;
    this.#meters.frames.with({}).inc();
    if (captured > 0) this.#meters.changeSeconds.with({}).observe(Math.max(0, Date.now() - captured) / 1000);
  }

  trouble(about: string, error: unknown): void {
    this.#troubles.tell(about, error);
  }

  notice(error: GatewayError): void {
    this.#troubles.notice(error);
  }

  dropped(index: string, target: string): void {
    this.#gcDeletes.delete(target);
    this.#log.info({ index, target }, 'index deleted at the target, as it was at the source');
    this.#metrics.drop({ index });
  }

  gcDeletes(fact: GcDeletesFact): void {
    const { index, state, fromMs, toMs, reason } = fact;
    // Of an index that may not even be looked at, take the servers' default.
    if (toMs > 0 || state !== 'refused') this.#gcDeletes.set(index, toMs);
    if (state === 'raised') this.#log.info({ index, fromMs, toMs }, 'index.gc_deletes raised');
    if (state !== 'refused') return;
    this.#log.warn(
      { index, fromMs, reason },
      'index.gc_deletes cannot be raised: late writes are checked against the stream instead',
    );
  }

  /** How long the target remembers a delete, in ms, as far as it is known. */
  gcDeletesOf(target: string): number {
    return this.#gcDeletes.get(target) ?? gcDeletesDefaultMs;
  }

  lag(lag: SourceLag): void {
    this.#lag = lag;
    this.#meters.lagMessages.with({}).set(lag.pending + lag.ackPending);
  }

  measure(held: Held, outstanding: { messages: number; bytes: number }, lettersWait: boolean): void {
    this.#meters.concurrency.with({}).set(held.concurrency);
    this.#meters.inflightFrames.with({}).set(outstanding.messages);
    this.#meters.inflightBytes.with({}).set(held.heldBytes);
    this.#meters.deadLetterWaiting.with({}).set(lettersWait ? 1 : 0);
  }

  /** Why the target does not take documents, and what else keeps work from being done. */
  get troubles(): string[] {
    const reasons = this.#troubles.texts;
    const busyMs = this.#busySince === undefined ? 0 : Date.now() - this.#busySince;
    if (busyMs > busyTooLongMs && reasons.length === 0) {
      reasons.push(`the target has been too busy for ${Math.round(busyMs / 1000)} s: ${this.#busyReason}`);
    }
    return reasons;
  }

  stats(): object {
    return {
      documents: { ...this.#outcomes },
      frames: this.#frames,
      frameBytes: this.#frameBytes,
      redeliveries: this.#redeliveries,
      retries: this.#retries,
      deadLetters: this.#deadLetters,
      late: { ...this.#late },
      lag: this.#lag,
      lastError: this.#troubles.last,
    };
  }
}

/** Of Elasticsearch and OpenSearch. */
const gcDeletesDefaultMs = 60_000;
