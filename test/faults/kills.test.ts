import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultRound } from '../support/fault-round.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';

const seed = seedOfRun('kills');
const kills = 24;

test(`watcher, writer and nats-server are killed ${kills} times by SIGKILL under load: nothing is lost, nothing comes back`, async (t) => {
  const [source, target] = await Promise.all([sharedElasticsearch('8.19'), sharedOpenSearch('2.19')]);
  const { tally, killed, comparison } = await faultRound({
    random: new Random(seed),
    prefix: `k${seed}`,
    source: source.url,
    target: target.url,
    clients: 4,
    perSecond: 300,
    kills,
    betweenKillsMs: [200, 2_000],
  });
  const times = [...killed.values()].reduce((sum, one) => sum + one, 0);
  t.diagnostic(`${String(tally)}; killed ${JSON.stringify(Object.fromEntries(killed))}; ${comparison.documents} documents equal`);
  assert.ok(times >= 20, `${times} kills`);
});
