import { test } from 'node:test';
import { killAtRandom } from '../support/killing.ts';
import { preparePlans, removePlans, type IndexPlan } from '../support/plans.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { freshNats, sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { Workload } from '../support/workload.ts';

const seed = seedOfRun('moved');

/**
 * A document deleted under one routing and written under another lies in another shard of the source, whose sequence numbers have
 * nothing to do with the first one's. Where the target has fewer shards, both are one document there.
 */
for (const [number, targetShards] of [1, 2, 5].entries()) {
  test(`documents moved between five shards by another routing, to a target of ${targetShards}: each ends where it is`, async (t) => {
    const random = new Random(`${seed}/${number}`);
    const prefix = `m${seed}${number}`;
    const [source, target, nats] = await Promise.all([sharedElasticsearch('8.19'), sharedOpenSearch('2.19'), freshNats()]);
    const rig = new Rig({
      random,
      prefix,
      source: source.url,
      target: target.url,
      nats: nats.url,
      writerFlags: ['--ack-wait=3s'],
    });
    const plans: IndexPlan[] = [{ name: `${prefix}-moved`, kind: 'index', shards: 5, ids: [], routing: 'moved' }];
    await preparePlans(rig.source, rig.target, plans, targetShards);
    t.after(async () => {
      await rig.stop();
      await Promise.all([removePlans(rig.source, plans), removePlans(rig.target, plans), nats.stop()]);
      await rig.close();
    });
    const moves = { cluster: rig.source, plans, clients: 4, large: false };
    await new Workload({ ...moves, random: random.fork('before'), operations: 500 }).run();
    await rig.start();
    const workload = new Workload({ ...moves, random: random.fork('during'), perSecond: 250 });
    const working = workload.run();
    const victims = [rig.watcher, rig.writer].map((program) => ({
      name: program.name,
      kill: () => program.kill(),
      start: async () => rig.revive(),
    }));
    await killAtRandom({
      random: random.fork('kills'),
      victims,
      kills: 4,
      betweenMs: [500, 2_500],
      downMs: [0, 500],
      around: async () => undefined,
    });
    workload.stop();
    const tally = await working;
    await rig.ready();
    const comparison = await rig.untilExact();
    t.diagnostic(`${String(tally)}; ${comparison.documents} documents equal`);
    rig.assertQuiet();
  });
}
