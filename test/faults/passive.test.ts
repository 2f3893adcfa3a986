import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { preparePlans, removePlans, standardPlans } from '../support/plans.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { freshNats, sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { Workload } from '../support/workload.ts';

const seed = seedOfRun('passive');

/**
 * At the same time: on an index that has gone quiet the watcher waits a minute before it is sure, which is
 * what these tests take.
 */
describe('--refresh passive', { concurrency: true }, () => {
  for (const source of ['elasticsearch', 'opensearch'] as const) {
    test(`on ${source}: exact by the index's own refreshes alone`, async (t) => {
      const random = new Random(`${seed}/${source}`);
      const prefix = `v${seed}${source[0]}`;
      const engines = [await sharedElasticsearch('8.19'), await sharedOpenSearch('2.19')] as const;
      const [from, to] = source === 'elasticsearch' ? engines : [engines[1], engines[0]];
      const nats = await freshNats();
      const rig = new Rig({
        random,
        prefix,
        source: from.url,
        target: to.url,
        nats: nats.url,
        watcherFlags: ['--refresh=passive'],
      });
      const plans = standardPlans(prefix, { streams: true });
      await preparePlans(rig.source, rig.target, plans);
      t.after(async () => {
        await rig.stop();
        await Promise.all([removePlans(rig.source, plans), removePlans(rig.target, plans), nats.stop()]);
        await rig.close();
      });
      // No index is asked to refresh but by its own interval: idle ones would wait for the next search otherwise.
      await rig.source.json('PUT', `/${prefix}-*/_settings`, { 'index.refresh_interval': '500ms' });
      await rig.start();
      const tally = await new Workload({ cluster: rig.source, random, plans, clients: 3, operations: 3_000 }).run();
      const comparison = await rig.untilExact({ refreshSource: false });
      t.diagnostic(`${String(tally)}; ${comparison.documents} documents equal`);
      assert.equal(await rig.watcher.metric('disagreements_total'), 0);
      rig.assertQuiet();
    });
  }
});
