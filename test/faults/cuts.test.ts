import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { preparePlans, removePlans, standardPlans } from '../support/plans.ts';
import { Proxy, type Fault } from '../support/proxy.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { freshNats, sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { Workload } from '../support/workload.ts';

const seed = seedOfRun('cuts');
const faults = 40;
/** Weights. A half-open connection costs a time-out each: of the programs, these are shortened below. */
const kinds: Readonly<Record<Fault, number>> = { cut: 6, cutLater: 4, refuse: 3, halfOpen: 2, slow: 2, none: 0 };

test('connections between every pair are cut, refused, half open and slow at random: exact once they are whole', async (t) => {
  const random = new Random(seed);
  const prefix = `c${seed}`;
  const [source, target, nats] = await Promise.all([sharedOpenSearch('2.19'), sharedElasticsearch('8.19'), freshNats()]);
  const [toSource, toTarget, watcherToNats, writerToNats] = await Promise.all(
    [source, target, nats, nats].map(({ url }) => Proxy.to(url)),
  );
  const proxies = [toSource!, toTarget!, watcherToNats!, writerToNats!];
  const rig = new Rig({
    random,
    prefix,
    source: source.url,
    target: target.url,
    nats: nats.url,
    watcherSees: { source: toSource!.url('http'), nats: watcherToNats!.url('nats') },
    writerSees: { target: toTarget!.url('http'), nats: writerToNats!.url('nats') },
    watcherFlags: ['--es-timeout=3s'],
    writerFlags: ['--es-timeout=3s', '--ack-wait=3s'],
  });
  const plans = standardPlans(prefix, { streams: true });
  await preparePlans(rig.source, rig.target, plans);
  t.after(async () => {
    await rig.stop();
    await Promise.all([removePlans(rig.source, plans), removePlans(rig.target, plans), nats.stop()]);
    await Promise.all([rig.close(), ...proxies.map((proxy) => proxy.close())]);
  });
  await rig.start();
  const workload = new Workload({ cluster: rig.source, random: random.fork('workload'), plans, clients: 4, perSecond: 200 });
  const working = workload.run();
  const chance = random.fork('faults');
  for (let i = 0; i < faults; i++) {
    const proxy = chance.pick(proxies);
    await workload.burst(10);
    proxy.apply(chance.weighted(kinds), chance);
    await workload.burst(10);
    await pause(chance.between(50, 900));
    proxy.heal();
    rig.revive();
  }
  workload.stop();
  const tally = await working;
  await rig.ready();
  const comparison = await rig.untilExact({ withinMs: 180_000 });
  const applied = proxies.map((proxy) => Object.fromEntries(proxy.applied));
  t.diagnostic(`${String(tally)}; faults ${JSON.stringify(applied)}; ${comparison.documents} documents equal`);
  assert.deepEqual([...tally.refusals.keys()], []);
});
