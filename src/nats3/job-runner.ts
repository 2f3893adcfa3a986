import { backoffMs, pause } from '../core/backoff.ts';
import { GatewayError, isTransient } from '../core/errors.ts';
import { natsFailure, type NatsLink } from '../jetstream/index.ts';
import { retryingStore } from '../objects/index.ts';
import type { Log } from '../service/log.ts';
import type { Buckets } from './buckets.ts';
import type { Nats3Settings } from './config.ts';
import type { JobBook } from './job-book.ts';
import { consumerOf, freshState, jobKey, type JobRecord, type JobState } from './job.ts';
import type { JobContext } from './job-context.ts';
import type { Lease } from './lease.ts';
import { Ledger } from './ledger.ts';
import { loadSession } from './load-session.ts';
import type { JobMeters } from './metrics.ts';
import { storeSession } from './store-session.ts';

export type RunnerParts = {
  link: NatsLink;
  book: JobBook;
  buckets: Buckets;
  settings: Nats3Settings;
  meters: JobMeters;
  log: Log;
  server: string;
};

const retry = { minMs: 250, maxMs: 15_000 };
/** How long a job that is paused or deleted may take to finish what is under way: what is not finished by then comes again. */
const graceMs = 5_000;
const measureEveryMs = 1_000;
/** Weight of the last second in the rate that is shown. */
const rateWeight = 0.3;

/** Runs one job for as long as this server holds its lease: session after session, until it is done, has failed, or is not wanted any more. */
export class JobRunner {
  readonly #parts: RunnerParts;
  readonly #lease: Lease;
  readonly #ledger: Ledger;
  readonly #stop = new AbortController();
  readonly #abandon = new AbortController();
  readonly #troubles = new Map<string, GatewayError>();
  #record: JobRecord;
  #taken = false;
  #grace: NodeJS.Timeout | undefined;
  #measured = { messages: 0, at: performance.now() };

  private constructor(record: JobRecord, lease: Lease, state: JobState, revision: number, parts: RunnerParts) {
    this.#record = record;
    this.#lease = lease;
    this.#parts = parts;
    this.#ledger = new Ledger(parts.book.values, `state.${jobKey(record)}`, state, revision, this.#abandon.signal);
    lease.lost.addEventListener('abort', () => this.#lost(), { once: true });
  }

  static async open(record: JobRecord, lease: Lease, parts: RunnerParts): Promise<JobRunner> {
    const entry = await parts.book.values.get(`state.${jobKey(record)}`);
    const before = entry?.value as JobState | undefined;
    const state = before?.id === record.id ? before : freshState(record, parts.server);
    state.server = parts.server;
    return new JobRunner(record, lease, state, entry?.revision ?? 0, parts);
  }

  get state(): JobState {
    return this.#ledger.state;
  }

  /** True when the job is gone, or has gone elsewhere. */
  get isGone(): boolean {
    return this.#record.wanted === 'delete' || this.#taken;
  }

  /** The record has changed. */
  want(record: JobRecord): void {
    this.#record = record;
    if (record.wanted === 'run' || this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#grace = setTimeout(() => this.#giveUp(), graceMs);
  }

  /** The server ends. */
  shutDown(): void {
    this.#stop.abort();
  }

  /** Resolves when this server has no more to do with the job. */
  async run(): Promise<void> {
    const { log } = this.#parts;
    const { kind, name } = this.#record;
    const measuring = setInterval(() => this.#measure(), measureEveryMs);
    log.info({ kind, job: name, messages: this.state.messages }, 'job begins here');
    try {
      // From here on a former holder cannot write any more.
      this.state.restarts = this.#record.restarts;
      await this.#save('running');
      await this.#sessions();
      if (this.#record.wanted === 'delete') await this.#delete();
      else if (this.#record.wanted === 'pause' && this.state.status !== 'done' && this.state.status !== 'failed')
        await this.#save('paused');
    } catch (error) {
      const failure = natsFailure(error, `running ${kind} job ${name}`);
      log.warn({ kind, job: name, code: failure.code }, failure.message);
    } finally {
      clearInterval(measuring);
      clearTimeout(this.#grace);
      this.#parts.meters.lag.set(0);
      this.#parts.meters.inflightBytes.set(0);
      await this.#lease.release();
      log.info({ kind, job: name, status: this.state.status, messages: this.state.messages }, 'job ends here');
    }
  }

  async #sessions(): Promise<void> {
    const { stop, context } = this.#context();
    for (let attempt = 1; !stop.aborted; attempt++) {
      const before = this.state.messages;
      try {
        const record = this.#record;
        const end = record.kind === 'store' ? await storeSession(record, context) : await loadSession(record, context);
        if (end === 'done') await this.#save('done');
        return;
      } catch (error) {
        if (this.#abandon.signal.aborted) throw error;
        // The state was written by somebody else: whoever runs the job on reads it first.
        if (error instanceof GatewayError && error.code === 'LEASE_LOST') throw error;
        const failure = natsFailure(error, 'running the job');
        if (!isTransient(failure)) {
          this.#fail(failure, error);
          await this.#save('failed');
          return;
        }
        if (this.state.messages > before) attempt = 1;
        context.meters.retries.inc();
        context.trouble('session', failure);
        await pause(backoffMs(attempt, retry), stop);
      }
      this.#troubles.delete('reading');
    }
  }

  #context(): { stop: AbortSignal; context: JobContext } {
    const { link, buckets, settings, meters } = this.#parts;
    const { bucket } = this.#record.spec;
    const trouble = (about: string, error: GatewayError | undefined): void => this.#trouble(about, error);
    const store = retryingStore(buckets.bucket(bucket), {
      onRetry: (error) => {
        meters.retries.inc();
        trouble('storage', error);
      },
      onRecovered: () => trouble('storage', undefined),
    });
    const stop = this.#stop.signal;
    return {
      stop,
      context: {
        link,
        store,
        settings,
        ledger: this.#ledger,
        lease: this.#lease,
        meters,
        stop,
        abandon: this.#abandon.signal,
        trouble,
        notice: (error) => this.#notice(error),
      },
    };
  }

  #trouble(about: string, error: GatewayError | undefined): void {
    const { log, meters } = this.#parts;
    const before = this.#troubles.get(about);
    const job = this.#record.name;
    if (error === undefined) {
      if (!this.#troubles.delete(about)) return;
      log.info({ job, about }, 'going on');
    } else {
      this.#troubles.set(about, error);
      this.#remember(error);
      if (before?.code !== error.code) {
        meters.errors(error.code).inc();
        log.warn({ job, about, code: error.code, hint: error.hint }, error.message);
      }
      if (before?.message === error.message) return;
    }
    this.#save(this.#troubles.size > 0 ? 'degraded' : 'running').catch(() => undefined);
  }

  #notice(error: GatewayError): void {
    this.#remember(error);
    this.#parts.meters.errors(error.code).inc();
    this.#parts.log.warn({ job: this.#record.name, code: error.code, hint: error.hint }, error.message);
  }

  #fail(failure: GatewayError, error: unknown): void {
    this.#remember(failure);
    this.#troubles.clear();
    this.#troubles.set('job', failure);
    this.#parts.meters.errors(failure.code).inc();
    const unforeseen = error instanceof GatewayError ? {} : { err: error };
    this.#parts.log.error({ job: this.#record.name, code: failure.code, hint: failure.hint, ...unforeseen }, failure.message);
  }

  #remember(error: GatewayError): void {
    const { code, message, hint } = error;
    this.state.lastError = { code, message, hint, at: new Date().toISOString() };
  }

  #save(status: JobState['status']): Promise<void> {
    this.state.status = status;
    const trouble = [...this.#troubles.values()].at(-1);
    this.state.reason = status === 'degraded' || status === 'failed' ? trouble?.message : undefined;
    if (status === 'done') this.state.lag = 0;
    return this.#ledger.save();
  }

  #measure(): void {
    const { state } = this;
    const now = performance.now();
    const rate = ((state.messages - this.#measured.messages) * 1000) / (now - this.#measured.at);
    this.#measured = { messages: state.messages, at: now };
    state.rate = state.rate * (1 - rateWeight) + rate * rateWeight;
    if (state.rate < 0.1) state.rate = 0;
    // A session that does something is over whatever ended the one before.
    if (rate > 0 && this.#troubles.has('session')) this.#trouble('session', undefined);
  }

  /** Also at the end, when the lease is let go: then nothing is under way. */
  #lost(): void {
    this.#taken = (this.#lease.lost.reason as GatewayError).code === 'LEASE_LOST';
    this.#abandon.abort(this.#lease.lost.reason);
  }

  #giveUp(): void {
    this.#abandon.abort(
      new GatewayError('JOB_STOPPED', 'the job was stopped before everything under way was finished', {
        hint: 'what was not finished comes again',
        transient: true,
      }),
    );
  }

  async #delete(): Promise<void> {
    const { link, book } = this.#parts;
    const record = this.#record;
    if (record.kind === 'store') {
      const { stream } = record.spec;
      await link.manager.consumers.delete(stream, consumerOf(record)).catch((error: unknown) => {
        const failure = natsFailure(error, `removing consumer ${consumerOf(record)}`);
        if (failure.transient && failure.code !== 'STREAM_MISSING') throw failure;
      });
    }
    await book.remove(jobKey(record));
  }
}
