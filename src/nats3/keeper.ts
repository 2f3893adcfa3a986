import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { pause } from '../core/backoff.ts';
import type { NatsLink } from '../jetstream/index.ts';
import type { Log } from '../service/log.ts';
import type { Metrics } from '../service/metrics.ts';
import type { Buckets } from './buckets.ts';
import type { Nats3Settings } from './config.ts';
import type { JobBook } from './job-book.ts';
import { isSettled, jobKey, type JobRecord, type JobState } from './job.ts';
import { JobRunner } from './job-runner.ts';
import { Lease } from './lease.ts';
import { jobMeters, type Nats3Metrics } from './metrics.ts';

const lookEveryMs = 500;
/** A server that runs jobs already leaves the next one to others for so long a job. */
const courtesyMs = 40;
const courtesyMaxMs = 400;

export type KeeperParts = {
  link: NatsLink;
  book: JobBook;
  buckets: Buckets;
  settings: Nats3Settings;
  metrics: Metrics;
  meters: Nats3Metrics;
  log: Log;
};

/** Takes jobs that nobody runs, runs them, and lets them go. */
export class Keeper {
  readonly #parts: KeeperParts;
  readonly #runners = new Map<string, JobRunner>();
  readonly #ended = new Map<string, Promise<void>>();
  readonly #taking = new Set<string>();
  readonly #stopping = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly server = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.look(), lookEveryMs);
  }

  /** The state of a job: of the runner, if it is here. */
  stateOf(key: string): JobState | undefined {
    return this.#runners.get(key)?.state ?? this.#parts.book.state(key);
  }

  get running(): number {
    return this.#runners.size;
  }

  /** Something has changed, or time has passed. */
  look(): void {
    const { book, settings } = this.#parts;
    for (const record of book.records()) {
      const key = jobKey(record);
      const runner = this.#runners.get(key);
      if (runner !== undefined) runner.want(record);
      else if (this.#runners.size + this.#taking.size < settings.jobsMax) void this.#take(key, record);
    }
    this.#measure();
  }

  /** Finishes what is under way in every job. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort();
    for (const runner of this.#runners.values()) runner.shutDown();
    await Promise.all(this.#ended.values());
  }

  async #take(key: string, record: JobRecord): Promise<void> {
    const { book, link, settings, log } = this.#parts;
    if (this.#taking.has(key) || this.#stopping.signal.aborted || !link.connected) return;
    if (isSettled(record, book.state(key)) || book.leases.takeable(key) === undefined) return;
    this.#taking.add(key);
    try {
      if (this.#runners.size > 0) {
        await pause(Math.min(courtesyMaxMs, courtesyMs * this.#runners.size) * Math.random(), this.#stopping.signal);
      }
      const revision = book.leases.takeable(key);
      if (revision === undefined || this.#stopping.signal.aborted) return;
      const lease = await Lease.take(book.values, `lease.${key}`, this.server, settings.leaseTimeout, revision);
      if (lease !== undefined) await this.#run(key, lease);
    } catch (error) {
      log.debug({ job: key, err: error }, 'the job could not be taken');
    } finally {
      this.#taking.delete(key);
    }
  }

  async #run(key: string, lease: Lease): Promise<void> {
    const { book, metrics, meters } = this.#parts;
    // What is known of the job may be older than the lease.
    const record = (await book.values.get(`job.${key}`))?.value as JobRecord | undefined;
    const state = (await book.values.get(`state.${key}`))?.value as JobState | undefined;
    if (record === undefined || isSettled(record, state?.id === record.id ? state : undefined)) {
      await lease.release();
      return;
    }
    const { kind, name } = record;
    const runner = await JobRunner.open(record, lease, {
      ...this.#parts,
      meters: jobMeters(meters, kind, name),
      server: this.server,
    });
    this.#runners.set(key, runner);
    runner.want(record);
    if (this.#stopping.signal.aborted) runner.shutDown();
    const ended = runner.run().finally(() => {
      this.#runners.delete(key);
      this.#ended.delete(key);
      if (runner.isGone) metrics.drop({ kind, job: name });
    });
    this.#ended.set(key, ended);
  }

  #measure(): void {
    const { jobs } = this.#parts.meters;
    const counts = new Map<string, number>();
    for (const [key, { state }] of this.#runners) {
      const series = `${key.split('.')[0]} ${state.status}`;
      counts.set(series, (counts.get(series) ?? 0) + 1);
    }
    for (const kind of ['store', 'load']) {
      for (const state of ['running', 'degraded', 'paused']) jobs.with({ kind, state }).set(counts.get(`${kind} ${state}`) ?? 0);
    }
  }
}
