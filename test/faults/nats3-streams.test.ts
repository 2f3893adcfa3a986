import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Server } from '../../scripts/servers.ts';
import type { NatsLink } from '../../src/jetstream/index.ts';
import { consumerOf, type JobRecord } from '../../src/nats3/job.ts';
import { assertReplayed, mixedMessages, publishAll, readAll, type Read } from '../support/archive-messages.ts';
import { ArchiveStage, linkTo, uniqueName } from '../support/archive-stage.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { S3FaultProxy, s3Trouble } from '../support/s3-faults.ts';
import { freshNats, sharedS3 } from '../support/servers.ts';
import { until } from '../support/until.ts';

const random = new Random(seedOfRun('nats3 streams'));
const bucket = uniqueName('streams');
const batch = { max_messages: 100, max_age_ms: 50 };

let nats: Server;
let proxy: S3FaultProxy;
let stages: ArchiveStage[];
let link: NatsLink;

before(async () => {
  const s3 = await sharedS3();
  nats = await freshNats();
  proxy = await S3FaultProxy.to(s3.url);
  const stage = (): ArchiveStage =>
    new ArchiveStage({ nats: nats.url, s3: proxy.url, credentials: s3.credentials!, flags: { 'lease-timeout': '1s' } });
  stages = [stage(), stage()];
  link = await linkTo(nats.url);
  await Promise.all(stages.map(({ program }) => program.startReady()));
});

after(async () => {
  await Promise.all(stages.map(async ({ program }) => program.isRunning() && program.stop()));
  await link.close();
  await proxy.close();
  await nats.stop();
});

async function makeStream(name: string, options: object = {}): Promise<void> {
  await link.manager.streams.add({ name, subjects: [`${name}.>`], allow_direct: true, ...options });
}

async function publish(stream: string, count: number): Promise<void> {
  await publishAll(
    link,
    stream,
    mixedMessages(random.fork(`${stream} ${random.next()}`), count, [`${stream}.a`, `${stream}.b.c`]),
  );
}

type Stored = { stream: string; path: string; record: Pick<JobRecord, 'id' | 'name'> };

async function storing(): Promise<Stored> {
  const stream = uniqueName('S');
  await makeStream(stream);
  const name = uniqueName('job');
  const { id } = await stages[0]!.store({ name, stream, subject: '>', bucket, batch });
  return { stream, path: `/store/job/${name}`, record: { id, name } };
}

async function storedAll(path: string, messages: number, stage = stages[0]!): Promise<void> {
  await stage.job(path, `${messages} messages stored`, (job) => job.messages === messages && job.status === 'running');
}

async function loadedAll(stream: string): Promise<Read[]> {
  const target = uniqueName('T');
  await makeStream(target);
  const { name } = await stages[0]!.load({
    bucket,
    read_stream: stream,
    read_subject: `${stream}.>`,
    write_subject: `${target}.>`,
  });
  await stages[0]!.finished(`/load/job/${name}`);
  return (await readAll(link, target)).map((message) => ({ ...message, subject: message.subject.replace(target, stream) }));
}

describe('nats3 while its stream changes under it', () => {
  it('goes on where it was when its consumer is deleted', async () => {
    const { stream, path, record } = await storing();
    await publish(stream, 250);
    await storedAll(path, 250);
    await link.manager.consumers.delete(stream, consumerOf(record as JobRecord));
    await publish(stream, 250);
    await storedAll(path, 500);
    assertReplayed(await readAll(link, stream), await loadedAll(stream));
  });

  it('keeps what it has when the stream is purged, and stores what comes', async () => {
    const { stream, path } = await storing();
    await publish(stream, 200);
    await storedAll(path, 200);
    const before = await readAll(link, stream);
    await link.manager.streams.purge(stream);
    await publish(stream, 200);
    await storedAll(path, 400);
    assertReplayed([...before, ...(await readAll(link, stream))], await loadedAll(stream));
  });

  it('waits for a stream that was deleted, and archives the one that comes as another', async () => {
    const { stream, path } = await storing();
    await publish(stream, 220);
    await storedAll(path, 220);
    const before = await readAll(link, stream);
    await link.manager.streams.delete(stream);
    const waiting = await stages[0]!.job(path, 'degraded', ({ status }) => status === 'degraded');
    assert.match(waiting.reason!, /stream/);
    await makeStream(stream);
    await publish(stream, 230);
    await storedAll(path, 450);
    const replayed = await loadedAll(stream);
    assertReplayed([...before, ...(await readAll(link, stream))], replayed);
  });

  it('says what is wrong with the storage, and recovers by itself', async () => {
    const { stream, path } = await storing();
    proxy.plan = ({ operation }) => (operation === 'PutObject' ? s3Trouble.bucketMissing : undefined);
    await publish(stream, 150);
    const degraded = await stages[0]!.job(path, 'degraded', ({ status }) => status === 'degraded');
    assert.match(degraded.reason!, /bucket/);
    assert.equal(degraded.last_error!.code, 'S3_BUCKET_MISSING');
    proxy.heal();
    await storedAll(path, 150);
  });
});

describe('nats3 while NATS goes and comes', () => {
  it('stores and loads each message once', async () => {
    const { stream, path } = await storing();
    const target = uniqueName('T');
    await makeStream(target);
    await publish(stream, 500);
    await storedAll(path, 500);
    const order = { bucket, read_stream: stream, read_subject: `${stream}.>`, write_subject: `${target}.>`, rate: 120 };
    const { name } = await stages[0]!.load(order);
    for (let round = 0; round < 3; round++) {
      const { messages } = await stages[0]!.job(`/load/job/${name}`, 'known', () => true);
      await stages[0]!.job(`/load/job/${name}`, 'at work', (job) => job.messages > messages || job.status === 'done');
      await nats.kill('SIGKILL');
      await nats.restart();
    }
    await publish(stream, 100);
    await storedAll(path, 600);
    await stages[0]!.finished(`/load/job/${name}`);
    const originals = await readAll(link, stream);
    const copies = (await readAll(link, target)).map((message) => ({
      ...message,
      subject: message.subject.replace(target, stream),
    }));
    assertReplayed(originals.slice(0, 500), copies);
    assertReplayed(originals, await loadedAll(stream));
  });
});

describe('a target that others publish to', () => {
  it('gets each message once all the same', async () => {
    const { stream, path } = await storing();
    await publish(stream, 3_000);
    await storedAll(path, 3_000);
    const target = uniqueName('T');
    await makeStream(target);
    const order = { bucket, read_stream: stream, read_subject: `${stream}.>`, write_subject: `${target}.>`, rate: 3_000 };
    const { name } = await stages[0]!.load(order);
    let others = 0;
    for (let over = false; !over; others++) {
      await link.jetstream.publish(`${target}.other`, 'x');
      over = (await stages[0]!.job(`/load/job/${name}`, 'known', () => true)).status === 'done';
    }
    const all = (await readAll(link, target)).map((message) => ({
      ...message,
      subject: message.subject.replace(target, stream),
    }));
    assertReplayed(
      await readAll(link, stream),
      all.filter(({ subject }) => subject !== `${stream}.other`),
    );
    assert.equal(all.length, 3_000 + others);
  });
});

describe('two servers that share jobs', () => {
  it('run each job on one of them, and the other goes on when that one dies', async () => {
    const jobs: Stored[] = [];
    for (let i = 0; i < 4; i++) jobs.push(await storing());
    for (const { stream } of jobs) await publish(stream, 150);
    for (const { path } of jobs) await storedAll(path, 150);
    const running = await Promise.all(stages.map(({ program }) => program.metric('running_jobs')));
    assert.ok(
      running.every((count) => count > 0),
      `both have work: ${running.join(' and ')}`,
    );
    const publishing = Promise.all(jobs.map(({ stream }) => publish(stream, 600)));
    await stages[1]!.program.kill();
    await publishing;
    for (const { path } of jobs) await storedAll(path, 750);
    // Those of other tests are taken over too, each in its time.
    const allRunning = running[0]! + running[1]!;
    const takenOver = async () => (await stages[0]!.program.metric('running_jobs')) === allRunning;
    await until(`${allRunning} jobs on the server that is left`, takenOver, { withinMs: 30_000 });
    await stages[1]!.program.startReady();
    for (const { stream, path } of jobs) {
      assertReplayed(await readAll(link, stream), await loadedAll(stream));
      assert.equal((await stages[1]!.call('DELETE', path)).status, 204, 'through the other server');
    }
  });
});
