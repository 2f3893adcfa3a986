import type { Entry, KeyValue } from '../jetstream/index.ts';
import { jobKey, type JobKind, type JobRecord, type JobState } from './job.ts';
import { LeaseView } from './lease.ts';

const changesMax = 20;
/** Removals that are remembered: what is overtaken by one is under way for a moment only. */
const removalsMax = 1_000;

/** All jobs, as the bucket shows them: a copy that is kept up to date. Three keys a job: what is wanted, how far it is, who runs it. */
export class JobBook {
  readonly #values: KeyValue;
  readonly #records = new Map<string, { record: JobRecord; revision: number }>();
  /** Revisions of removals. The answer to a write may come after the news that its job is gone. */
  readonly #removed = new Map<string, number>();
  readonly #states = new Map<string, JobState>();
  readonly #onChange: (key: string) => void;
  readonly leases: LeaseView;
  #unwatch: (() => void) | undefined;

  private constructor(values: KeyValue, leaseTimeoutMs: number, onChange: (key: string) => void) {
    this.#values = values;
    this.#onChange = onChange;
    this.leases = new LeaseView(leaseTimeoutMs);
  }

  /** Resolves when every job is known. `onChange` is told the job's key. */
  static async open(values: KeyValue, leaseTimeoutMs: number, onChange: (key: string) => void): Promise<JobBook> {
    const book = new JobBook(values, leaseTimeoutMs, onChange);
    await new Promise<void>((resolve, reject) => {
      values.watch((entry) => book.#take(entry), resolve).then((unwatch) => (book.#unwatch = unwatch), reject);
    });
    return book;
  }

  close(): void {
    this.#unwatch?.();
  }

  get values(): KeyValue {
    return this.#values;
  }

  records(kind?: JobKind): JobRecord[] {
    const all = [...this.#records.values()].map(({ record }) => record);
    return all.filter((record) => kind === undefined || record.kind === kind).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  record(key: string): JobRecord | undefined {
    return this.#records.get(key)?.record;
  }

  state(key: string): JobState | undefined {
    const state = this.#states.get(key);
    // A job of the same name that was deleted has left its last words.
    return state?.id === this.record(key)?.id ? state : undefined;
  }

  /** False when the name is taken. */
  async add(record: JobRecord): Promise<boolean> {
    const key = jobKey(record);
    const before = await this.#values.get(`job.${key}`);
    if (before !== undefined) return false;
    // After a removal the key has a revision of its own, which `write` with 0 knows how to follow.
    const revision = await this.#values.write(`job.${key}`, record, 0);
    if (revision === undefined) return false;
    this.#note(key, record, revision);
    return true;
  }

  /** Undefined when there is no such job. */
  async change(key: string, alter: (record: JobRecord) => void): Promise<JobRecord | undefined> {
    for (let attempt = 0; attempt < changesMax; attempt++) {
      const entry = await this.#values.get(`job.${key}`);
      if (entry === undefined) return undefined;
      const record = entry.value as JobRecord;
      alter(record);
      const revision = await this.#values.write(`job.${key}`, record, entry.revision);
      if (revision === undefined) continue;
      this.#note(key, record, revision);
      return record;
    }
    return this.record(key);
  }

  /** The job is gone for good. The record goes last: until then somebody finishes what was begun. */
  async remove(key: string): Promise<void> {
    await this.#values.remove(`state.${key}`);
    await this.#values.remove(`job.${key}`);
    await this.#values.remove(`lease.${key}`);
  }

  #take(entry: Entry): void {
    const [what = '', ...rest] = entry.key.split('.');
    const key = rest.join('.');
    if (what === 'lease') this.leases.note(key, entry);
    else if (what === 'job') this.#note(key, entry.value as JobRecord | undefined, entry.revision);
    else if (what === 'state') {
      if (entry.value === undefined) this.#states.delete(key);
      else this.#states.set(key, entry.value as JobState);
    }
    this.#onChange(key);
  }

  #note(key: string, record: JobRecord | undefined, revision: number): void {
    const known = this.#records.get(key);
    if (revision <= (known?.revision ?? this.#removed.get(key) ?? 0)) return;
    if (record !== undefined) {
      this.#records.set(key, { record, revision });
      return;
    }
    this.#records.delete(key);
    this.#removed.set(key, revision);
    if (this.#removed.size > removalsMax) this.#removed.delete(this.#removed.keys().next().value!);
  }
}
