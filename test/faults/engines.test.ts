import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preparePlans, standardPlans } from '../support/plans.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { freshNats, freshOpenSearch } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { Workload } from '../support/workload.ts';

const seed = seedOfRun('engines');

test('source and target are killed by SIGKILL under load and come back: the programs stay, and nothing is lost', async (t) => {
  const random = new Random(seed);
  const prefix = `e${seed}`;
  const [source, target, nats] = await Promise.all([freshOpenSearch('3.8'), freshOpenSearch('2.19'), freshNats()]);
  const rig = new Rig({ random, prefix, source: source.url, target: target.url, nats: nats.url, writerFlags: ['--ack-wait=5s'] });
  const plans = standardPlans(prefix, { streams: true });
  await preparePlans(rig.source, rig.target, plans);
  t.after(async () => {
    await rig.stop();
    await rig.close();
    await Promise.all([source.stop(), target.stop(), nats.stop()]);
  });
  await rig.start();
  const tolerant = { clients: 4, perSecond: 250, tolerant: true };
  const workload = new Workload({ cluster: rig.source, random: random.fork('workload'), plans, ...tolerant });
  const working = workload.run();
  for (const engine of [source, target, source]) {
    const before = workload.tally.operations;
    await until('work between the kills', () => workload.tally.operations > before + 600, { withinMs: 120_000 });
    await workload.burst(40);
    await engine.kill('SIGKILL');
    await engine.restart();
  }
  const before = workload.tally.operations;
  await until('work after the kills', () => workload.tally.operations > before + 600, { withinMs: 120_000 });
  workload.stop();
  const tally = await working;
  const comparison = await rig.untilExact({ withinMs: 180_000 });
  t.diagnostic(`${String(tally)}; ${comparison.documents} documents equal`);
  assert.deepEqual([rig.watcher.starts, rig.writer.starts], [1, 1], 'neither program ended');
  rig.assertQuiet();
});

test('the watcher uses its hosts in turn: a dead one is skipped and tried again', async (t) => {
  const random = new Random(`${seed}/hosts`);
  const prefix = `eh${seed}`;
  const [source, target, nats] = await Promise.all([freshOpenSearch('2.19'), freshOpenSearch('3.8'), freshNats()]);
  const watcherSees = { source: `http://127.0.0.1:1,${source.url}` };
  const rig = new Rig({ random, prefix, source: source.url, target: target.url, nats: nats.url, watcherSees });
  const plans = standardPlans(prefix).slice(0, 2);
  await preparePlans(rig.source, rig.target, plans);
  t.after(async () => {
    await rig.stop();
    await rig.close();
    await Promise.all([source.stop(), target.stop(), nats.stop()]);
  });
  await rig.start();
  await new Workload({ cluster: rig.source, random, plans, clients: 2, operations: 500 }).run();
  await rig.untilExact();
  rig.assertQuiet();
});
