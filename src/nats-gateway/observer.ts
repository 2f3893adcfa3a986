import type { Message, Refusal } from '../core/strategy.ts';
import type { SourceLag } from '../jetstream/index.ts';
import type { Log } from '../service/log.ts';
import type { Metrics } from '../service/metrics.ts';
import { Refusals } from '../service/refusals.ts';
import { Troubles } from '../service/troubles.ts';
import { type GatewayMetrics, gatewayMetrics } from './metrics.ts';
import type { Fates } from './rewriter.ts';
import type { Plan } from './rules.ts';

type Counts = Fates & { frames: number; filteredFrames: number };

/** Indices and operations that are counted each for itself. */
const rowsMax = 10_000;
const rateOverMs = 10_000;

/** Tells metrics, the log, /stats and readiness what happens. */
export class Observer {
  readonly meters: GatewayMetrics;
  readonly #log: Log;
  readonly #counts = new Map<string, Counts>();
  readonly #troubles: Troubles;
  readonly #refusals: Refusals;
  readonly #total = { frames: 0, documents: 0, bytes: 0, deadLetters: 0, redeliveries: 0, settled: 0 };
  /** A few looks at the totals, one a second, for rates. */
  #looks: { at: number; frames: number; documents: number; bytes: number }[] = [];
  #lag: SourceLag | undefined;

  constructor(log: Log, metrics: Metrics) {
    this.#log = log;
    this.#troubles = new Troubles(log);
    this.#refusals = new Refusals(log);
    this.meters = gatewayMetrics(metrics);
  }

  received(message: Message): void {
    this.#total.frames++;
    this.#total.bytes += message.payload.length;
    this.meters.frameBytes.with({}).inc(message.payload.length);
    if (message.deliveries === 1) return;
    this.#total.redeliveries++;
    this.meters.redeliveries.with({}).inc();
  }

  fates({ subject: { index, operation } }: Plan, fates: Fates, how: 'bytes' | 'decoded' | 'filtered'): void {
    this.meters.frames.with({ how }).inc();
    const row = this.#row(`${index} ${operation}`);
    row.frames++;
    if (how === 'filtered') row.filteredFrames++;
    for (const fate of ['passed', 'filtered', 'transformed', 'failed'] as const) {
      if (fates[fate] === 0) continue;
      row[fate] += fates[fate];
      this.#total.documents += fates[fate];
      this.meters.documents.with({ index, operation, fate }).inc(fates[fate]);
    }
  }

  #row(key: string): Counts {
    const name = this.#counts.has(key) || this.#counts.size < rowsMax ? key : 'other other';
    const known = this.#counts.get(name);
    if (known !== undefined) return known;
    const row = { frames: 0, filteredFrames: 0, passed: 0, filtered: 0, transformed: 0, failed: 0 };
    this.#counts.set(name, row);
    return row;
  }

  dropPassed({ subject: { index } }: Plan): void {
    this.meters.frames.with({ how: 'drop' }).inc();
    this.#row(`${index} drop`).frames++;
    this.#log.info({ index }, 'the end of the index has reached every consumer downstream');
  }

  published(tookMs: number): void {
    this.meters.publishSeconds.with({}).observe(tookMs / 1000);
  }

  settled(message: Message): void {
    this.#total.settled++;
    this.meters.settled.with({}).inc();
    this.meters.lagSeconds.with({}).set(Math.max(0, Date.now() - message.timestamp) / 1000);
  }

  deadLetter(refusal: Refusal): void {
    this.#total.deadLetters++;
    this.meters.deadLetters.with({ type: refusal.type }).inc();
  }

  refused(where: Parameters<Refusals['tell']>[0], refusal: Refusal): void {
    this.#refusals.tell(where, refusal);
  }

  trouble(about: string, error: unknown): void {
    this.#troubles.tell(about, error);
  }

  /** Something to know that does not last. */
  notice(text: string, more: object = {}): void {
    this.#log.warn(more, text);
  }

  info(text: string, more: object = {}): void {
    this.#log.info(more, text);
  }

  lag(lag: SourceLag): void {
    this.#lag = lag;
    this.meters.lagMessages.with({}).set(lag.pending + lag.ackPending);
  }

  /** To be called about once a second. */
  look(now: number): void {
    const { frames, documents, bytes } = this.#total;
    this.#looks.push({ at: now, frames, documents, bytes });
    while (this.#looks.length > 2 && this.#looks[1]!.at < now - rateOverMs) this.#looks.shift();
  }

  get troubles(): string[] {
    return this.#troubles.texts;
  }

  stats(): object {
    const first = this.#looks[0];
    const last = this.#looks.at(-1);
    const seconds = first === undefined || last === undefined ? 0 : (last.at - first.at) / 1000;
    const rate = (key: 'frames' | 'documents' | 'bytes'): number =>
      seconds > 0 ? Math.round((last![key] - first![key]) / seconds) : 0;
    return {
      totals: { ...this.#total },
      rates: {
        seconds: rateOverMs / 1000,
        framesPerSecond: rate('frames'),
        documentsPerSecond: rate('documents'),
        bytesPerSecond: rate('bytes'),
      },
      indices: [...this.#counts].map(([key, { frames, filteredFrames, ...fates }]) => {
        const at = key.lastIndexOf(' ');
        const { passed, filtered, transformed, failed } = fates;
        const documents = { in: passed + filtered + transformed + failed, ...fates };
        return {
          index: key.slice(0, at),
          operation: key.slice(at + 1),
          frames: { in: frames, filtered: filteredFrames },
          documents,
        };
      }),
      lag: this.#lag,
      lastError: this.#troubles.last,
    };
  }
}
