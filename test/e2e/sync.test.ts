import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ElasticsearchLine, OpenSearchLine } from '../../scripts/servers.ts';
import { preparePlans, removePlans, standardPlans } from '../support/plans.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { freshNats, sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { Workload } from '../support/workload.ts';

type Engine = `elasticsearch ${ElasticsearchLine}` | `opensearch ${OpenSearchLine}`;

/** A ring: every version is a source once and a target once. The shard counts of source and target differ where the last says so. */
const pairs: readonly [source: Engine, target: Engine, targetShards?: number][] = [
  ['elasticsearch 8.19', 'opensearch 2.19'],
  ['opensearch 2.19', 'opensearch 3.8', 2],
  ['opensearch 3.8', 'elasticsearch 7.17'],
  ['elasticsearch 7.17', 'elasticsearch 9.4', 1],
  ['elasticsearch 9.4', 'elasticsearch 8.19', 4],
];

const seed = seedOfRun('sync');

async function urlOf(engine: Engine): Promise<string> {
  const [name, line] = engine.split(' ');
  const server =
    name === 'opensearch' ? sharedOpenSearch(line as OpenSearchLine) : sharedElasticsearch(line as ElasticsearchLine);
  return (await server).url;
}

for (const [number, [source, target, targetShards]] of pairs.entries()) {
  test(`${source} to ${target}: random operations of six clients arrive byte for byte`, async (t) => {
    const random = new Random(`${seed}/${number}`);
    const prefix = `s${seed}${number}`;
    const nats = await freshNats();
    const rig = new Rig({ random, prefix, source: await urlOf(source), target: await urlOf(target), nats: nats.url });
    const plans = standardPlans(prefix, { streams: source !== 'elasticsearch 7.17' });
    await preparePlans(rig.source, rig.target, plans, targetShards);
    t.after(async () => {
      await rig.stop();
      await Promise.all([removePlans(rig.source, plans), removePlans(rig.target, plans), nats.stop()]);
      await rig.close();
    });
    // A third is there before the programs start, a third comes while they run, a third while they are stopped and started again.
    const workload = (part: string, operations: number): Workload =>
      new Workload({ cluster: rig.source, random: random.fork(part), plans, clients: 6, operations });
    const tallies = [await workload('before', 1_500).run()];
    await rig.start();
    tallies.push(await workload('during', 2_000).run());
    const [last, exits] = await Promise.all([workload('after', 1_500).run(), restart(rig)]);
    tallies.push(last);
    assert.deepEqual(exits, [0, 0], 'SIGTERM drains and ends with 0');
    for (const tally of tallies) assert.deepEqual([...tally.refusals.keys()], []);
    const comparison = await rig.untilExact();
    t.diagnostic(
      `${comparison.documents} documents equal after ${tallies.reduce((sum, one) => sum + one.operations, 0)} operations, ${tallies.reduce((sum, one) => sum + one.deletes, 0)} deletes`,
    );
    rig.assertQuiet();
    assert.equal(await rig.writer.metric('dead_letters_total'), 0);
    assert.equal(await rig.watcher.metric('disagreements_total'), 0);
  });
}

async function restart(rig: Rig): Promise<(number | null)[]> {
  const exits = await Promise.all([rig.watcher.stop(), rig.writer.stop()]);
  await rig.start();
  return exits.map((exit) => exit.code);
}
