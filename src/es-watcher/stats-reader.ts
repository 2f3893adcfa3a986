import { describeError } from '../core/errors.ts';
import { type ElasticClient, ElasticError, shardStats, type ShardStats } from '../elastic/index.ts';

const againAfterMs = 5_000;

type Options = { refreshes: boolean; signal: AbortSignal };
type Apart = { reason: string; until: number };

/**
 * Reads the statistics of all indices in one call. A server refuses the whole call for one index that the user may not look at: such
 * indices are found and left out for a while, so that they stop no other.
 */
export class StatsReader {
  readonly #client: ElasticClient;
  readonly #now: () => number;
  readonly #onRefused: (index: string, error: unknown) => void;
  readonly #apart = new Map<string, Apart>();

  constructor(client: ElasticClient, now: () => number, onRefused: (index: string, error: unknown) => void) {
    this.#client = client;
    this.#now = now;
    this.#onRefused = onRefused;
  }

  /** Indices left out, with what the server said. */
  get refused(): ReadonlyMap<string, string> {
    return new Map([...this.#apart].map(([index, { reason }]) => [index, reason]));
  }

  async read(names: readonly string[], options: Options): Promise<ShardStats> {
    const now = this.#now();
    for (const index of this.#apart.keys()) if (!names.includes(index)) this.#apart.delete(index);
    const asked = names.filter((index) => (this.#apart.get(index)?.until ?? 0) <= now);
    return this.#readGroup(asked, options);
  }

  async #readGroup(names: readonly string[], options: Options): Promise<ShardStats> {
    try {
      const stats = await shardStats(this.#client, names, options);
      for (const index of names) this.#apart.delete(index);
      return stats;
    } catch (error) {
      if (!(error instanceof ElasticError) || error.status !== 403) throw error;
      if (names.length === 1) return this.#setApart(names[0]!, error);
      const half = Math.ceil(names.length / 2);
      const [a, b] = [await this.#readGroup(names.slice(0, half), options), await this.#readGroup(names.slice(half), options)];
      return { indices: new Map([...a.indices, ...b.indices]), failed: a.failed + b.failed, failures: a.failures + b.failures };
    }
  }

  #setApart(index: string, error: ElasticError): ShardStats {
    if (!this.#apart.has(index)) this.#onRefused(index, error);
    this.#apart.set(index, { reason: describeError(error), until: this.#now() + againAfterMs });
    return { indices: new Map(), failed: 0, failures: '' };
  }
}
