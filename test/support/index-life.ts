import type { Cluster } from './cluster.ts';
import { documentText } from './documents.ts';
import { fixedRouting } from './plans.ts';
import type { Random } from './random.ts';

/** What happens to an index as a whole, done to one cluster. Every step ends with everything acknowledged. */
export class IndexLife {
  readonly #cluster: Cluster;
  readonly #random: Random;

  constructor(cluster: Cluster, random: Random) {
    [this.#cluster, this.#random] = [cluster, random];
  }

  async create(index: string, shards = 2, settings: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await this.#cluster.json('PUT', `/${index}`, { settings: { number_of_shards: shards, number_of_replicas: 0, ...settings } });
  }

  /** Writes documents with the ids `from` to `to`, both included; half of them with a routing of their own where wanted. */
  async write(index: string, from: number, to: number, routed = false): Promise<void> {
    const lines: string[] = [];
    for (let id = from; id <= to; id++) {
      const routing = routed && id % 2 === 0 ? { routing: fixedRouting(`${id}`) } : {};
      lines.push(JSON.stringify({ index: { _index: index, _id: `${id}`, ...routing } }), documentText(this.#random));
    }
    await this.#bulk(lines);
  }

  async delete(index: string, from: number, to: number): Promise<void> {
    const lines: string[] = [];
    for (let id = from; id <= to; id++) lines.push(JSON.stringify({ delete: { _index: index, _id: `${id}` } }));
    await this.#bulk(lines);
  }

  async drop(index: string): Promise<void> {
    await this.#cluster.json('DELETE', `/${index}`);
  }

  /** Deleted and created again, with other documents: some of the same ids, fewer, and new ones. */
  async recreate(index: string, shards = 3): Promise<void> {
    await this.drop(index);
    await this.create(index, shards);
    await this.write(index, 5, 30);
    await this.write(index, 1_000, 1_005);
  }

  async close(index: string): Promise<void> {
    await this.#cluster.json('POST', `/${index}/_close`);
  }

  async open(index: string): Promise<void> {
    await this.#cluster.json('POST', `/${index}/_open?wait_for_active_shards=1`);
  }

  async rollover(alias: string): Promise<void> {
    await this.#cluster.json('POST', `/${alias}/_rollover`);
  }

  /** Registers a snapshot repository on the file system; its path must be allowed by `path.repo`. */
  async repository(name: string, location: string): Promise<void> {
    await this.#cluster.json('PUT', `/_snapshot/${name}`, { type: 'fs', settings: { location } });
  }

  async snapshot(repository: string, name: string, index: string): Promise<void> {
    const body = { indices: index, include_global_state: false };
    await this.#cluster.json('PUT', `/_snapshot/${repository}/${name}?wait_for_completion=true`, body);
  }

  /** Puts an index back to what it was, over the one that is there. */
  async restore(repository: string, name: string, index: string): Promise<void> {
    await this.close(index);
    const body = { indices: index, include_global_state: false, include_aliases: false };
    await this.#cluster.json('POST', `/_snapshot/${repository}/${name}/_restore?wait_for_completion=true`, body);
  }

  async #bulk(lines: readonly string[]): Promise<void> {
    const answer = (await this.#cluster.json('POST', '/_bulk', `${lines.join('\n')}\n`)) as { errors: boolean };
    if (answer.errors) throw new Error(`the source refused: ${JSON.stringify(answer).slice(0, 1_000)}`);
  }
}
