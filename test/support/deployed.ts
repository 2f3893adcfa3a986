import { compare, describeDifferences, isExact } from './compare.ts';
import { Cluster } from './cluster.ts';
import { preparePlans, removePlans, standardPlans } from './plans.ts';
import type { Random } from './random.ts';
import { sharedElasticsearch, sharedOpenSearch } from './servers.ts';
import { until } from './until.ts';
import { Workload } from './workload.ts';

/** Source and target around something deployed that is looked at from outside only: what matters is what arrives. */
export class Stage {
  readonly prefix: string;
  readonly source: Cluster;
  readonly target: Cluster;
  readonly #plans;
  readonly #random: Random;

  private constructor(prefix: string, random: Random, source: string, target: string) {
    this.prefix = prefix;
    this.#random = random;
    this.source = new Cluster(source);
    this.target = new Cluster(target);
    this.#plans = standardPlans(prefix, { idsEach: 100 });
  }

  static async open(prefix: string, random: Random): Promise<Stage> {
    const [source, target] = await Promise.all([sharedElasticsearch('8.19'), sharedOpenSearch('2.19')]);
    const stage = new Stage(prefix, random, source.url, target.url);
    await preparePlans(stage.source, stage.target, stage.#plans);
    return stage;
  }

  async work(part: string, operations: number): Promise<void> {
    const random = this.#random.fork(part);
    await new Workload({ cluster: this.source, random, plans: this.#plans, clients: 3, operations, large: false }).run();
  }

  /** Waits until both sides hold the same, byte for byte; answers the number of documents. */
  async untilExact(): Promise<number> {
    const look = () => compare(this.source, this.target, { pattern: `${this.prefix}-*` });
    const ask = async () => {
      const found = await look();
      return isExact(found) && found.documents > 0 ? found : undefined;
    };
    const exact = await until('the same documents on both sides', ask, { withinMs: 60_000, everyMs: 300 }).catch(
      async (error: unknown) => {
        throw new Error(`${(error as Error).message}\n${await describeDifferences(await look(), this.source, this.target)}`);
      },
    );
    return exact.documents;
  }

  async close(): Promise<void> {
    await Promise.all([removePlans(this.source, this.#plans), removePlans(this.target, this.#plans)]);
    await Promise.all([this.source.close(), this.target.close()]);
  }
}
