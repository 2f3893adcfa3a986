import { ChangeBlock, type ChangeList } from '../core/change-block.ts';
import type { ChangeEvent } from '../core/event.ts';
import type { Outcome, Writer } from '../core/strategy.ts';
import { BulkEncoder } from './bulk.ts';
import type { ElasticClient } from './client.ts';
import { ElasticError } from './errors.ts';
import type { GcDeletes } from './gc-deletes.ts';
import { bulkFilterPath, readBulkAnswer } from './outcome.ts';

/** One `_bulk` request, for metrics. `status` is 0 where there was no answer. */
export type BulkFact = { documents: number; bytes: number; tookMs: number; status: number };

export type BulkWriterOptions = {
  client: ElasticClient;
  /** The target index for an index of the source. Default: the same name. */
  indexOf?: (index: string) => string;
  bodyBytesMax?: number;
  timeoutMs?: number;
  gcDeletes?: GcDeletes;
  onBulk?: (bulk: BulkFact) => void;
  now?: () => number;
};

/** Amazon OpenSearch Service allows 10 MiB a request on its smaller instances. */
const bodyBytesMaxDefault = 8 * 1024 * 1024;
const bodyBytesMin = 64 * 1024;

/**
 * Writes changes with `_bulk` and external versions. A write is one request, more where it is larger than `bodyBytesMax` or the cluster
 * finds it too large. Every failure that may pass is `busy` for the documents concerned; a whole request is refused (401, 403, TLS) by
 * throwing, and may be written again as it is. Any number of writes may run at once.
 */
export class BulkWriter implements Writer {
  readonly #options: BulkWriterOptions;
  readonly #indexOf: (index: string) => string;
  readonly #now: () => number;
  /** As many as there ever were writes at once. */
  readonly #idle: BulkEncoder[] = [];
  #bytesMax: number;

  constructor(options: BulkWriterOptions) {
    this.#options = options;
    this.#indexOf = options.indexOf ?? ((index) => index);
    this.#now = options.now ?? Date.now;
    this.#bytesMax = options.bodyBytesMax ?? bodyBytesMaxDefault;
  }

  async write(changes: readonly ChangeList[]): Promise<Outcome[]> {
    return changes.every(isWritable) ? this.#writeAll(changes) : this.#writeSome(changes.flatMap((list) => [...list]));
  }

  async #writeAll(changes: readonly ChangeList[]): Promise<Outcome[]> {
    const targets = new Set<string>();
    let count = 0;
    for (const list of changes) {
      count += list.length;
      if (list instanceof ChangeBlock) targets.add(this.#indexOf(list.common.index));
      else for (const { index } of list) targets.add(this.#indexOf(index));
    }
    await this.#options.gcDeletes?.ensure(targets);
    const outcomes = await this.#writeRange(changes, 0, count);
    // A write may have made its index.
    await this.#options.gcDeletes?.ensure(targets);
    return outcomes;
  }

  async #writeSome(events: readonly ChangeEvent[]): Promise<Outcome[]> {
    const writable = events.filter((event) => !isUnwritable(event));
    const settled = writable.length === 0 ? [] : await this.#writeAll([writable]);
    let next = 0;
    return events.map((event) => (isUnwritable(event) ? sourceMissing : settled[next++]!));
  }

  async #writeRange(changes: readonly ChangeList[], from: number, to: number): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    while (from + outcomes.length < to) {
      const start = from + outcomes.length;
      const encoder = this.#idle.pop() ?? new BulkEncoder();
      const bulk = encoder.encode(changes, start, to, this.#bytesMax, this.#indexOf);
      const answer = await this.#send(bulk.body, bulk.to - start);
      // A request that failed may still be read from its buffer for a moment, so only after a full answer is it used again.
      if (answer.is === 'answered') this.#idle.push(encoder);
      if (answer.is !== 'split' && start === from && bulk.to === to) return answer.outcomes;
      const more = answer.is === 'split' ? await this.#writeHalves(changes, start, bulk.to) : answer.outcomes;
      // Not spread: there may be more of them than a call takes arguments.
      for (const outcome of more) outcomes.push(outcome);
    }
    return outcomes;
  }

  async #writeHalves(changes: readonly ChangeList[], from: number, to: number): Promise<Outcome[]> {
    const middle = from + Math.ceil((to - from) / 2);
    const first = await this.#writeRange(changes, from, middle);
    return [...first, ...(await this.#writeRange(changes, middle, to))];
  }

  async #send(body: Buffer, documents: number): Promise<Sent> {
    const start = this.#now();
    let status = 0;
    try {
      const answer = await this.#options.client.ok({
        method: 'POST',
        path: '/_bulk',
        query: { filter_path: bulkFilterPath },
        body,
        contentType: 'application/x-ndjson',
        repeatable: true,
        needs: 'the index privileges `index`, `delete` and `create_index`',
        ...(this.#options.timeoutMs === undefined ? {} : { timeoutMs: this.#options.timeoutMs }),
      });
      status = answer.status;
      return { is: 'answered', outcomes: readBulkAnswer(answer.body, documents) };
    } catch (error) {
      if (!(error instanceof ElasticError)) throw error;
      if (error.status > 0) status = error.status;
      return this.#failed(error, body.length, documents);
    } finally {
      this.#options.onBulk?.({ documents, bytes: body.length, tookMs: this.#now() - start, status });
    }
  }

  #failed(error: ElasticError, bytes: number, documents: number): Sent {
    if (error.status === 413) this.#bytesMax = Math.min(this.#bytesMax, Math.max(bodyBytesMin, bytes >> 1));
    // Servers refuse a whole request for one action they find invalid (an id that is too long): halving finds it.
    if (error.status === 413 || error.status === 400) {
      if (documents > 1) return { is: 'split' };
      const refusal = { status: error.status, type: error.type || 'request_refused', reason: error.reason };
      return { is: 'failed', outcomes: [{ is: 'refused', refusal }] };
    }
    if (!error.transient) throw error;
    const busy: Outcome = { is: 'busy', status: error.status, reason: error.message };
    return { is: 'failed', outcomes: Array.from({ length: documents }, () => busy) };
  }

  /** Has nothing of its own to end; the client is its maker's. */
  close(): Promise<void> {
    this.#idle.length = 0;
    return Promise.resolve();
  }
}

function isWritable(list: ChangeList): boolean {
  if (list instanceof ChangeBlock) return true;
  for (const event of list) if (isUnwritable(event)) return false;
  return true;
}

function isUnwritable(event: ChangeEvent): boolean {
  return event.op !== 'delete' && event.source === undefined;
}

type Sent = { is: 'answered' | 'failed'; outcomes: Outcome[] } | { is: 'split' };

const sourceMissing: Outcome = {
  is: 'refused',
  refusal: { status: 0, type: 'source_missing', reason: 'the change has no document' },
};
