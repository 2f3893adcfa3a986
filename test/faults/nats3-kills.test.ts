import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { nanos } from '@nats-io/transport-node';
import type { NatsLink } from '../../src/jetstream/index.ts';
import type { JobAnswer } from '../../src/nats3/schema.ts';
import { assertReplayed, mixedMessages, publishAll, readAll } from '../support/archive-messages.ts';
import { ArchiveStage, linkTo, uniqueName } from '../support/archive-stage.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { faultsAtRandom } from '../support/s3-chance.ts';
import { S3FaultProxy } from '../support/s3-faults.ts';
import { sharedNats, sharedS3 } from '../support/servers.ts';

const random = new Random(seedOfRun('nats3 kills'));
/** How far the last job that was killed had come, as far as it was seen. */
const progress = { messages: 0 };
/** Messages published and not stored, at most. */
const aheadMax = 2_000;
const kills = Number(process.env['KILLS'] ?? 20);
const bucket = uniqueName('kills');
const stream = uniqueName('K');

let proxy: S3FaultProxy;
let stage: ArchiveStage;
let link: NatsLink;

before(async () => {
  const [nats, s3] = [await sharedNats(), await sharedS3()];
  proxy = await S3FaultProxy.to(s3.url);
  stage = new ArchiveStage({ nats: nats.url, s3: proxy.url, credentials: s3.credentials!, flags: { 'lease-timeout': '1s' } });
  link = await linkTo(nats.url);
  await link.manager.streams.add({ name: stream, subjects: [`${stream}.>`], allow_direct: true });
  await stage.program.startReady();
});

after(async () => {
  if (stage.program.isRunning()) await stage.program.stop();
  await link.close();
  await proxy.close();
});

/** Kills the server while it works on the job, and starts it again; between, it is paused and resumed now and then. */
async function killAtWork(path: string, moments: Random, isOver: (job: JobAnswer) => boolean): Promise<number> {
  for (let kill = 0; kill < kills; kill++) {
    const { messages } = await stage.job(path, 'known', () => true);
    progress.messages = messages;
    const job = await stage.job(path, 'at work', (each) => each.messages > messages || isOver(each), 60_000);
    progress.messages = job.messages;
    if (isOver(job)) return kill;
    await pause(moments.between(0, 150));
    const pausing = moments.chance(0.2) ? stage.call('POST', `${path}/pause`).catch(() => undefined) : undefined;
    await pause(moments.between(0, 50));
    await stage.program.kill();
    await pausing;
    await stage.program.startReady();
    if (pausing !== undefined || moments.chance(0.3)) await stage.done('POST', `${path}/resume`);
  }
  return kills;
}

describe('SIGKILL at random, with a storage that fails in every way', () => {
  const subjects = ['one', 'two.x', 'three'].map((subject) => `${stream}.${subject}`);
  const spent = new Map<string, number>();

  it('leaves an archive that holds every message', async () => {
    const name = uniqueName('kills');
    const path = `/store/job/${name}`;
    const order = { name, stream, subject: '>', bucket, batch: { max_messages: 150, max_age_ms: 40 } };
    await stage.store(order);
    proxy.plan = faultsAtRandom(random.fork('store faults'), 0.15);
    const ending = new AbortController();
    let published = 0;
    const publishing = (async () => {
      for (let round = 0; !ending.signal.aborted; round++) {
        // There is always something to do, and never much.
        if (published - progress.messages > aheadMax) {
          await pause(20);
          continue;
        }
        await publishAll(link, stream, mixedMessages(random.fork(`round ${round}`), 200, subjects));
        published += 200;
      }
    })();
    assert.equal(await killAtWork(path, random.fork('store kills'), () => false), kills);
    ending.abort();
    await publishing;
    proxy.heal();
    const originals = await readAll(link, stream);
    await stage.done('POST', `${path}/resume`);
    await stage.job(path, 'all stored', (job) => job.lag === 0 && job.last_seq === originals.at(-1)!.sequence, 60_000);
    const { messages, objects } = await stage.job(path, 'counted', () => true);
    spent.set('messages stored', messages).set('objects', objects);
    assert.equal(messages, originals.length, 'each message is counted once');
    await stage.done('POST', `${path}/pause`);
  });

  it('loads each of them once, in order, though the stream deduplicates for a moment only', async () => {
    const originals = await readAll(link, stream);
    const target = uniqueName('T');
    await link.manager.streams.add({ name: target, subjects: [`${target}.>`], duplicate_window: nanos(100), allow_direct: true });
    const rate = Math.ceil(originals.length / 25);
    const order = { bucket, read_stream: stream, read_subject: `${stream}.>`, write_subject: `${target}.>`, rate };
    const { name } = await stage.load(order);
    // Not before: an order is not tried again by itself.
    proxy.plan = faultsAtRandom(random.fork('load faults'), 0.1);
    const path = `/load/job/${name}`;
    const done = await killAtWork(path, random.fork('load kills'), ({ status }) => status === 'done');
    proxy.heal();
    await stage.finished(path, 120_000);
    spent.set('kills in load', done);
    console.log(`# ${JSON.stringify({ ...Object.fromEntries(spent), faults: Object.fromEntries(proxy.applied) })}`);
    assertReplayed(originals, await readAll(link, target), (subject) => subject.replace(stream, target));
    assert.equal(done, kills, 'the load lasted long enough');
  });
});
