import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { install } from '../../scripts/provision/cache.ts';
import { natsRecipe } from '../../scripts/provision/nats.ts';
import { killAtRandom } from '../support/killing.ts';
import { preparePlans, removePlans, standardPlans } from '../support/plans.ts';
import { Program } from '../support/programs.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { Workload } from '../support/workload.ts';

const seed = seedOfRun('es-sync');
const kills = 8;

test(`es-sync run in one process: it and its NATS server are killed ${kills} times under load, and both clusters are the same`, async (t) => {
  const random = new Random(seed);
  const prefix = `o${seed}`;
  const [source, target] = await Promise.all([sharedElasticsearch('8.19'), sharedOpenSearch('2.19')]);
  const natsBinary = join(await install(natsRecipe), 'nats-server');
  const rig = new Rig({
    random,
    prefix,
    source: source.url,
    target: target.url,
    together: (flags, directory) =>
      new Program('es-sync', {
        command: ['run'],
        flags: [...flags, `--data-dir=${join(directory, 'data')}`, `--nats-binary=${natsBinary}`, '--js-max-file=256MB'],
        logFile: join(directory, 'es-sync.log'),
      }),
  });
  const sync = rig.watcher;
  const plans = standardPlans(prefix, { streams: true, idsEach: 300 });
  await preparePlans(rig.source, rig.target, plans);
  t.after(async () => {
    await rig.stop();
    await Promise.all([removePlans(rig.source, plans), removePlans(rig.target, plans)]);
    await rig.close();
  });
  const workload = new Workload({ cluster: rig.source, random: random.fork('work'), plans, clients: 4, perSecond: 300 });
  await rig.start();
  const server = JSON.parse((await sync.get('/stats')).body) as { nats: { pid: number } };
  assert.ok(server.nats.pid > 0);
  const working = workload.run();
  const killed = await killAtRandom({
    random: random.fork('kills'),
    victims: [
      { name: 'es-sync', kill: () => sync.kill(), start: () => sync.startReady() },
      { name: 'nats-server', kill: () => killServer(sync), start: () => sync.ready() },
    ],
    kills,
    betweenMs: [200, 1_500],
    downMs: [0, 300],
    around: () => workload.burst(30),
  });
  workload.stop();
  const tally = await working;
  assert.deepEqual([...tally.refusals.keys()], []);
  const comparison = await rig.untilExact();
  t.diagnostic(
    `SEED=${seed}: ${comparison.documents} documents equal after ${String(tally)}; killed ${JSON.stringify([...killed])}`,
  );
  rig.assertQuiet();
  assert.equal(await sync.metric('dead_letters_total'), 0);
  assert.deepEqual(await sync.stop(), { code: 0, signal: null }, 'SIGTERM drains and ends with 0');
});

/** Ends the server alone, if it runs just now: es-sync starts it again. */
async function killServer(sync: Program): Promise<void> {
  const answer = await sync.get('/stats').catch(() => undefined);
  // It may be killed at the same moment.
  if (answer === undefined) return;
  const { nats } = JSON.parse(answer.body) as { nats: { pid?: number } };
  if (nats.pid !== undefined) process.kill(nats.pid, 'SIGKILL');
}
