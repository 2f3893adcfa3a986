import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { temporaryDirectory, type Server } from '../../scripts/servers.ts';
import { preparePlans, removePlans, standardPlans, type IndexPlan } from '../support/plans.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { freshNats, sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { Workload } from '../support/workload.ts';

const seed = seedOfRun('stream-lost');
let number = 0;

type Stage = { rig: Rig; nats: Server; plans: readonly IndexPlan[]; work: (part: string) => Promise<void> };

async function stage(t: TestContext): Promise<Stage> {
  const random = new Random(`${seed}/${number}`);
  const prefix = `l${seed}${number++}`;
  const [source, target, nats] = await Promise.all([sharedElasticsearch('8.19'), sharedOpenSearch('2.19'), freshNats()]);
  const rig = new Rig({ random, prefix, source: source.url, target: target.url, nats: nats.url, writerFlags: ['--ack-wait=3s'] });
  const plans = standardPlans(prefix, { streams: true });
  await preparePlans(rig.source, rig.target, plans);
  t.after(async () => {
    await rig.stop();
    await Promise.all([removePlans(rig.source, plans), removePlans(rig.target, plans), nats.stop()]);
    await rig.close();
  });
  const work = async (part: string): Promise<void> => {
    const options = { cluster: rig.source, random: random.fork(part), plans, clients: 4, operations: 1_500 };
    const { refusals } = await new Workload(options).run();
    assert.deepEqual([...refusals.keys()], []);
  };
  return { rig, nats, plans, work };
}

/** With the programs up they come upon it at work; with them down, when they start. */
for (const up of [true, false]) {
  const when = up ? 'under the running programs' : 'between two runs';

  test(`the stream is lost ${when}, with what the writer had not read: everything comes again`, async (t) => {
    const { rig, nats, work } = await stage(t);
    await rig.start();
    await work('before');
    await rig.untilExact();
    // The writer is away: what the stream holds now has not been applied.
    await rig.writer.stop();
    await work('unread');
    if (!up) await rig.watcher.stop();
    await nats.kill('SIGKILL');
    rmSync(join(nats.dataDir, 'jetstream'), { recursive: true, force: true });
    await nats.restart();
    await work('after');
    rig.revive();
    await rig.ready();
    await rig.untilExact({ withinMs: 180_000 });
  });

  test(`the stream goes back to an older state ${when}, as after a restored disk: everything comes again`, async (t) => {
    const { rig, nats, work } = await stage(t);
    const copy = join(temporaryDirectory('stream'), 'jetstream');
    await rig.start();
    await work('before');
    await rig.untilExact();
    await nats.kill('SIGKILL');
    cpSync(join(nats.dataDir, 'jetstream'), copy, { recursive: true });
    await nats.restart();
    rig.revive();
    await rig.ready();
    await work('acknowledged');
    await rig.untilExact();
    await rig.writer.stop();
    await work('unread');
    if (!up) await rig.watcher.stop();
    await nats.kill('SIGKILL');
    rmSync(join(nats.dataDir, 'jetstream'), { recursive: true, force: true });
    cpSync(copy, join(nats.dataDir, 'jetstream'), { recursive: true });
    await nats.restart();
    await work('after');
    rig.revive();
    await rig.ready();
    await rig.untilExact({ withinMs: 180_000 });
  });
}
