import type { ElasticClient } from './client.ts';
import { ElasticError } from './errors.ts';
import { chunksOfNames } from './mappings.ts';
import { percentEncode } from './path.ts';

/** What was found and done about one index. `reason` says why it was `refused`. */
export type GcDeletesFact = {
  index: string;
  state: 'raised' | 'enough' | 'refused';
  fromMs: number;
  toMs: number;
  reason: string | undefined;
};

export type GcDeletesOptions = {
  client: ElasticClient;
  /** How long a target must remember the version of a delete: longer than a change can be redelivered. */
  wantedMs: number;
  /** Called when an index is first seen, and when its state has changed. */
  onFact?: (fact: GcDeletesFact) => void;
  /** An index may be made anew behind our back, with the default of 60 s: it is looked at again before that has passed. */
  recheckMs?: number;
  now?: () => number;
};

const defaultGcDeletesMs = 60_000;
const namesBytesMax = 2_500;
const needs = 'the index privileges `view_index_metadata` and `manage`';

/**
 * Keeps `index.gc_deletes` of the indices written high enough, so that a delete's version outlives every older write that may still be
 * redelivered. Never throws: what could not be asked is asked again with the next write, what may not be changed is reported.
 */
export class GcDeletes {
  readonly #client: ElasticClient;
  readonly #wantedMs: number;
  readonly #recheckMs: number;
  readonly #onFact: (fact: GcDeletesFact) => void;
  readonly #now: () => number;
  readonly #seen = new Map<string, { fact: GcDeletesFact; at: number }>();
  #turn: Promise<void> = Promise.resolve();

  constructor(options: GcDeletesOptions) {
    this.#client = options.client;
    this.#wantedMs = options.wantedMs;
    this.#recheckMs = options.recheckMs ?? 30_000;
    this.#onFact = options.onFact ?? (() => {});
    this.#now = options.now ?? Date.now;
  }

  /** To be called with the targets of a write before it, and again after it for those it may have made. Cheap when nothing is due. */
  async ensure(indices: Iterable<string>): Promise<void> {
    const names = [...indices];
    if (!names.some((name) => this.#due(name))) return;
    // One at a time, so that parallel writes do not ask the same.
    this.#turn = this.#turn.then(() => this.#check(names.filter((name) => this.#due(name))));
    await this.#turn;
  }

  /** The index is gone: one of the same name is another one. */
  forget(index: string): void {
    this.#seen.delete(index);
  }

  #due(name: string): boolean {
    const seen = this.#seen.get(name);
    return seen === undefined || seen.at + this.#recheckMs <= this.#now();
  }

  async #check(names: readonly string[]): Promise<void> {
    for (const chunk of chunksOfNames(names, namesBytesMax)) {
      try {
        await this.#checkChunk(chunk);
      } catch (error) {
        if (!(error instanceof ElasticError) || error.transient) continue;
        for (const index of chunk) this.#settle({ index, state: 'refused', fromMs: 0, toMs: 0, reason: error.message });
      }
    }
  }

  async #checkChunk(names: readonly string[]): Promise<void> {
    const found = await this.#read(names);
    const low: [string, number][] = [];
    for (const index of names) {
      // The name of an alias is not in the answer, and neither is one that does not exist.
      const fromMs = found.get(index) ?? lowest(names.length === 1 ? found : await this.#read([index]));
      if (fromMs === undefined) this.#seen.delete(index);
      else if (fromMs >= this.#wantedMs) this.#settle({ index, state: 'enough', fromMs, toMs: fromMs, reason: undefined });
      else low.push([index, fromMs]);
    }
    for (const [index, fromMs] of low) await this.#raise(index, fromMs);
  }

  async #read(names: readonly string[]): Promise<Map<string, number>> {
    const answer = (await this.#client.json({
      method: 'GET',
      path: `/${percentEncode(names.join(','))}/_settings/index.uuid,index.gc_deletes`,
      query: { flat_settings: true, ignore_unavailable: true, allow_no_indices: true, expand_wildcards: 'all' },
      needs,
    })) as Record<string, { settings?: Record<string, string> }>;
    return new Map(Object.entries(answer).map(([name, { settings }]) => [name, milliseconds(settings?.['index.gc_deletes'])]));
  }

  async #raise(index: string, fromMs: number): Promise<void> {
    try {
      await this.#client.ok({
        method: 'PUT',
        path: `/${percentEncode(index)}/_settings`,
        body: JSON.stringify({ index: { gc_deletes: `${this.#wantedMs}ms` } }),
        needs,
      });
      this.#settle({ index, state: 'raised', fromMs, toMs: this.#wantedMs, reason: undefined });
    } catch (error) {
      if (!(error instanceof ElasticError) || error.transient || error.status === 404) return;
      this.#settle({ index, state: 'refused', fromMs, toMs: fromMs, reason: error.message });
    }
  }

  #settle(fact: GcDeletesFact): void {
    const before = this.#seen.get(fact.index)?.fact;
    if (this.#seen.size >= indicesRemembered && before === undefined) this.#seen.clear();
    this.#seen.set(fact.index, { fact, at: this.#now() });
    // That an index raised before is now high enough is no news.
    if (before === undefined || (before.state !== fact.state && fact.state !== 'enough')) this.#onFact(fact);
  }
}
const indicesRemembered = 100_000;

function lowest(values: ReadonlyMap<string, number>): number | undefined {
  return values.size === 0 ? undefined : Math.min(...values.values());
}

const unitMs: Readonly<Record<string, number>> = {
  nanos: 1e-6,
  micros: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Reads a time as servers write it: `60s`, `1h`, `1500ms`. */
function milliseconds(text: string | undefined): number {
  const [, value, unit = ''] = /^(-?[\d.]+)(nanos|micros|ms|s|m|h|d)$/i.exec(text ?? '') ?? [];
  return value === undefined ? defaultGcDeletesMs : Number(value) * (unitMs[unit.toLowerCase()] ?? 1);
}
