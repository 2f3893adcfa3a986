import { pause } from '../core/backoff.ts';
import { GatewayError } from '../core/errors.ts';
import type { JobBook } from './job-book.ts';
import { answerOf } from './job-answer.ts';
import { archiveAnswerOf } from './archive-summary.ts';
import { consumerOf, isOver, jobKey, type JobKind, type JobRecord } from './job.ts';
import type { Keeper } from './keeper.ts';
import { orderLoad, orderStore, type OrderParts } from './orders.ts';
import { ApiError } from './problems.ts';
import type { ArchiveAnswer, JobAnswer, LoadRequest, StoreRequest } from './schema.ts';

/** How long an answer waits for whoever runs the job to do as it was told. */
const patienceMs = 15_000;

/** What the API can be asked for. */
export class Service {
  readonly #parts: OrderParts;
  readonly #book: JobBook;
  readonly #keeper: Keeper;

  constructor(parts: OrderParts, book: JobBook, keeper: Keeper) {
    this.#parts = parts;
    this.#book = book;
    this.#keeper = keeper;
  }

  async createStore(request: StoreRequest): Promise<JobAnswer> {
    return this.#create('store', request.name, () => orderStore(this.#parts, request));
  }

  async createLoad(request: LoadRequest): Promise<JobAnswer> {
    return this.#create('load', request.name, () => orderLoad(this.#parts, request));
  }

  list(kind: JobKind): JobAnswer[] {
    return this.#book.records(kind).map((record) => this.#answer(record));
  }

  show(kind: JobKind, name: string): JobAnswer {
    const record = this.#book.record(jobKey({ kind, name }));
    if (record === undefined || record.wanted === 'delete') throw missing(kind, name);
    return this.#answer(record);
  }

  async pause(kind: JobKind, name: string): Promise<JobAnswer> {
    const key = jobKey({ kind, name });
    await this.#change(kind, name, (record) => (record.wanted = 'pause'));
    await until(() => this.#isAtRest(key), patienceMs);
    return this.show(kind, name);
  }

  async resume(kind: JobKind, name: string): Promise<JobAnswer> {
    const key = jobKey({ kind, name });
    await this.#change(kind, name, (record) => {
      record.wanted = 'run';
      const state = this.#keeper.stateOf(key);
      if (state?.status === 'failed' && isOver(record, state)) record.restarts++;
    });
    await until(() => this.#keeper.stateOf(key)?.status !== 'paused', patienceMs);
    return this.show(kind, name);
  }

  /** True when it is gone, false when it will be. */
  async remove(kind: JobKind, name: string): Promise<boolean> {
    await this.#change(kind, name, (record) => (record.wanted = 'delete'));
    return until(() => this.#book.record(jobKey({ kind, name })) === undefined, patienceMs);
  }

  async archive(bucket: string, prefix: string | undefined): Promise<ArchiveAnswer> {
    const store = this.#parts.buckets.bucket(bucket);
    if (!(await store.bucket('exists')))
      throw new ApiError(404, 'BUCKET_MISSING', `there is no bucket ${bucket}`, 'correct its name');
    return archiveAnswerOf(store, prefix);
  }

  async #create(kind: JobKind, name: string | undefined, order: () => Promise<JobRecord>): Promise<JobAnswer> {
    if (name !== undefined && this.#book.record(jobKey({ kind, name })) !== undefined) throw taken(kind, name);
    const record = await order();
    if (!(await this.#book.add(record))) {
      // Another server was asked for the same name at the same moment.
      if (record.kind === 'store') {
        await this.#parts.link.manager.consumers.delete(record.spec.stream, consumerOf(record)).catch(() => false);
      }
      throw taken(kind, record.name);
    }
    this.#keeper.look();
    return this.#answer(record);
  }

  async #change(kind: JobKind, name: string, alter: (record: JobRecord) => void): Promise<void> {
    const known = this.#book.record(jobKey({ kind, name }));
    if (known === undefined || known.wanted === 'delete') throw missing(kind, name);
    if ((await this.#book.change(jobKey({ kind, name }), alter)) === undefined) throw missing(kind, name);
    this.#keeper.look();
  }

  #isAtRest(key: string): boolean {
    const state = this.#keeper.stateOf(key);
    return state === undefined || state.status === 'paused' || state.status === 'done' || state.status === 'failed';
  }

  #answer(record: JobRecord): JobAnswer {
    const away = this.#parts.link.connected ? undefined : 'NATS cannot be reached';
    return answerOf(record, this.#keeper.stateOf(jobKey(record)), away);
  }
}

function missing(kind: JobKind, name: string): GatewayError {
  return new ApiError(404, 'JOB_MISSING', `there is no ${kind} job ${name}`, `nats3 ${kind} list lists them`);
}

function taken(kind: JobKind, name: string): GatewayError {
  return new ApiError(409, 'JOB_EXISTS', `there is a ${kind} job ${name} already`, 'give another name, or delete that job first');
}

const askEveryMs = 20;

async function until(isSo: () => boolean, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (!isSo()) {
    if (performance.now() > deadline) return false;
    await pause(askEveryMs);
  }
  return true;
}
