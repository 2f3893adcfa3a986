import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bulk, connectCluster, createPlacesIndex } from '../../scripts/demo/cluster.ts';
import { places, type Place } from '../../scripts/demo/places.ts';
import { indexPath, type ElasticClient } from '../../src/elastic/index.ts';
import { victimsOf } from '../support/fault-round.ts';
import { killAtRandom } from '../support/killing.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { freshNats, sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';

const seed = seedOfRun('flood');
const kills = 8;
const actionsAtOnce = 1_000;
/** Enough for the flood to outlast the kills on a quick machine, and little enough to be compared. */
const operationsMax = 200_000;

/** Changes as fast as the source takes them: new documents, and updates and deletes of those that are there. */
class Flood {
  operations = 0;
  deletes = 0;
  readonly #client: ElasticClient;
  readonly #index: string;
  readonly #random: Random;
  readonly #places: Iterator<Place> = places(Number.MAX_SAFE_INTEGER);
  #made = 0;

  constructor(client: ElasticClient, index: string, random: Random) {
    this.#client = client;
    this.#index = index;
    this.#random = random;
  }

  async run(signal: AbortSignal): Promise<void> {
    const work = async (): Promise<void> => {
      while (!signal.aborted && this.operations < operationsMax) await this.send(actionsAtOnce);
    };
    await Promise.all([work(), work()]);
  }

  async send(actions: number): Promise<void> {
    const lines = Array.from({ length: actions }, () => this.#action());
    this.operations += actions;
    // What is deleted may be gone already.
    await bulk(this.#client, this.#index, lines, (status) => status < 300 || status === 404);
  }

  #action(): string {
    const known = this.#made > 0 && this.#random.chance(0.35);
    const id = known ? this.#random.between(0, this.#made - 1) : this.#made++;
    const action = (name: string) => `{"${name}":{"_id":"${id}"}}\n`;
    if (known && this.#random.chance(0.5)) {
      this.deletes++;
      return action('delete');
    }
    const place = this.#places.next().value as Place;
    return `${action('index')}${place.source}\n`;
  }
}

test(`watcher, writer and nats-server are killed ${kills} times in the middle of a flood: both sides are the same in the end`, async (t) => {
  const [source, target, nats] = await Promise.all([sharedElasticsearch('8.19'), sharedOpenSearch('2.19'), freshNats()]);
  const random = new Random(seed);
  const prefix = `flood${seed}`;
  const index = `${prefix}-places`;
  const rig = new Rig({ random, prefix, source: source.url, target: target.url, nats: nats.url, writerFlags: ['--ack-wait=3s'] });
  const client = connectCluster(source.url);
  const done = new AbortController();
  try {
    await createPlacesIndex(client, index);
    await rig.start();
    const flood = new Flood(client, index, random.fork('flood'));
    const flooding = flood.run(done.signal);
    // A refusal of the source is reported below; meanwhile the killing goes on.
    flooding.catch(() => undefined);
    const killed = await killAtRandom({
      random: random.fork('kills'),
      victims: victimsOf(rig, nats),
      kills,
      betweenMs: [500, 3_000],
      downMs: [0, 600],
      around: () => flood.send(30),
    });
    done.abort();
    await flooding;
    rig.revive();
    await rig.ready();
    const { documents } = await rig.untilExact({ withinMs: 240_000 });
    rig.assertQuiet(['NATS_UNREACHABLE']);
    const { operations, deletes } = flood;
    t.diagnostic(
      `${operations} operations, ${deletes} of them deletes; killed ${JSON.stringify(Object.fromEntries(killed))}; ${documents} documents equal`,
    );
    assert.ok(operations > 10_000, `${operations} operations`);
  } finally {
    done.abort();
    await rig.stop();
    await Promise.allSettled([rig.source, rig.target].map((side) => side.send('DELETE', indexPath(index))));
    await nats.stop();
    await rig.close();
    await client.close();
  }
});
