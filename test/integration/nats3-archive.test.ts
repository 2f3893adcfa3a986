import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { NatsLink } from '../../src/jetstream/index.ts';
import { assertReplayed, mixedMessages, publishAll, readAll, type Read } from '../support/archive-messages.ts';
import { ArchiveStage, linkTo, uniqueName } from '../support/archive-stage.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { sharedNats, sharedS3 } from '../support/servers.ts';

const seed = seedOfRun('nats3 archive');
const bucket = uniqueName('archive');

let stage: ArchiveStage;
let link: NatsLink;

before(async () => {
  const [nats, s3] = [await sharedNats(), await sharedS3()];
  stage = new ArchiveStage({ nats: nats.url, s3: s3.url, credentials: s3.credentials! });
  link = await linkTo(nats.url);
  await stage.program.startReady();
});

after(async () => {
  await stage.program.stop();
  await link.close();
});

async function filled(count: number, subjects: readonly string[]): Promise<{ stream: string; originals: Read[] }> {
  const stream = uniqueName('S');
  await link.manager.streams.add({
    name: stream,
    subjects: subjects.map((subject) => `${stream}.${subject}`),
    allow_direct: true,
  });
  const all = subjects.map((subject) => `${stream}.${subject}`);
  await publishAll(link, stream, mixedMessages(new Random(`${seed}/${stream}`), count, all));
  return { stream, originals: await readAll(link, stream) };
}

async function target(pattern: string): Promise<string> {
  const name = uniqueName('T');
  await link.manager.streams.add({ name, subjects: [pattern], allow_direct: true });
  return name;
}

/** Stores what is there on a subject, and waits until that is done. */
async function stored(stream: string, order: object = {}): Promise<string> {
  const name = uniqueName('job');
  await stage.store({ name, stream, subject: '>', bucket, until: 'end', ...order });
  const { messages, objects } = await stage.finished(`/store/job/${name}`);
  assert.ok(messages === 0 || objects > 0);
  return name;
}

async function loaded(stream: string, order: object): Promise<Read[]> {
  const { name, spec } = await stage.load({ bucket, read_stream: stream, ...order });
  await stage.finished(`/load/job/${name}`);
  return readAll(link, String(spec['write_stream']));
}

describe('a stream that was archived', () => {
  it('comes back once, in order, byte for byte, with sequence, time and subject of the originals', async () => {
    const { stream, originals } = await filled(30_000, ['a.b', 'a_b', 'deep.er.still']);
    await stored(stream, { batch: { max_messages: 4_000 } });
    await target(`again.${stream}.>`);
    const copies = await loaded(stream, { read_subject: `${stream}.>`, write_subject: `again.${stream}.>` });
    assertReplayed(originals, copies, (subject) => subject.replace(stream, `again.${stream}`));
  });

  it('is kept by two jobs on one stream and subject, each message coming back once', async () => {
    const { stream, originals } = await filled(3_000, ['x']);
    await stored(stream, { batch: { max_messages: 700 } });
    await stored(stream, { batch: { max_messages: 1_000 }, compression: 'gzip' });
    await target(`two.${stream}`);
    assertReplayed(originals, await loaded(stream, { write_subject: `two.${stream}` }), () => `two.${stream}`);
  });

  it('keeps a.b apart from a_b, with prefixes with and without slashes', async () => {
    const { stream, originals } = await filled(2_000, ['a.b', 'a_b']);
    for (const [subject, prefix] of [
      ['a.b', `deep/${stream}/`],
      ['a_b', `/deep/${stream}`],
    ] as const) {
      await stored(stream, { subject: `${stream}.${subject}`, prefix });
      const wanted = originals.filter((message) => message.subject === `${stream}.${subject}`);
      const to = uniqueName('apart');
      await target(to);
      const read = { prefix: `deep/${stream}`, read_subject: `${stream}.${subject}`, write_subject: to };
      assertReplayed(wanted, await loaded(stream, read), () => to);
    }
    const { jobs } = await stage.archive(bucket);
    const sums = jobs.filter((job) => job.stream === stream).map(({ prefix, messages }) => ({ prefix, messages }));
    assert.deepEqual(
      sums.map(({ prefix }) => prefix),
      [`deep/${stream}`, `deep/${stream}`],
    );
    assert.equal(
      sums.reduce((sum, { messages }) => sum + messages, 0),
      originals.length,
    );
  });

  it('is read in part, by sequence and by time, from any format', async () => {
    const { stream, originals } = await filled(2_000, ['x']);
    for (const form of [
      { format: 'ndjson', compression: 'gzip' },
      { compression: 'none' },
      { compression: { algorithm: 'zstd', level: 9 } },
    ]) {
      const prefix = uniqueName('part');
      await stored(stream, { prefix, ...form, batch: { max_messages: 300 } });
      const to = uniqueName('part');
      await target(to);
      const bySequence = await loaded(stream, { prefix, write_subject: to, from_seq: 451, to_seq: 1_200 });
      assertReplayed(originals.slice(450, 1_200), bySequence, () => to);
      const [from, end] = [originals[700]!.time, originals[900]!.time];
      const wanted = originals.filter(({ time }) => time >= from && time < end);
      const byTime = await loaded(stream, { prefix, write_subject: to, from, to: end });
      assertReplayed(wanted, byTime.slice(750), () => to);
    }
  });

  it('begins and ends where the order says', async () => {
    const { stream, originals } = await filled(500, ['x']);
    const storedBy = async (order: object): Promise<number[]> => {
      const prefix = uniqueName('range');
      await stored(stream, { prefix, ...order });
      const { jobs } = await stage.archive(bucket);
      const job = jobs.find((each) => each.prefix === prefix);
      return job === undefined ? [] : [job.first_seq, job.last_seq, job.messages];
    };
    assert.deepEqual(await storedBy({ start: 101 }), [101, 500, 400]);
    const at = originals[250]!;
    const [first, last, messages] = await storedBy({ start: at.time });
    assert.ok(first! <= 251 && originals[first! - 1]!.time.slice(0, 23) === at.time.slice(0, 23));
    assert.deepEqual([last, messages], [500, 501 - first!]);
    assert.deepEqual(await storedBy({ start: 'new' }), []);
  });

  it('follows what comes, by age of a block', async () => {
    const { stream } = await filled(10, ['x']);
    const name = uniqueName('live');
    await stage.store({ name, stream, subject: `${stream}.x`, bucket, start: 'new', batch: { max_age_ms: 50 } });
    await publishAll(link, stream, mixedMessages(new Random(`${seed}/live`), 5, [`${stream}.x`]));
    const job = await stage.job(`/store/job/${name}`, '5 stored', ({ messages }) => messages === 5);
    assert.deepEqual([job.first_seq, job.last_seq, job.status], [11, 15, 'running']);
    await stage.job(`/store/job/${name}`, 'no lag', ({ lag }) => lag === 0);
    await stage.done('DELETE', `/store/job/${name}`);
    assert.equal((await link.manager.streams.info(stream)).state.consumer_count, 0);
  });

  it('comes back at the pace of the originals, or at a rate', async () => {
    const { stream, originals } = await filled(200, ['x']);
    await stored(stream);
    const to = uniqueName('paced');
    await target(to);
    const startedAt = performance.now();
    const copies = await loaded(stream, { write_subject: to, rate: 400 });
    assertReplayed(originals, copies, () => to);
    assert.ok(performance.now() - startedAt >= 490, 'it kept to the rate');
    const again = uniqueName('paced');
    await target(again);
    assertReplayed(originals, await loaded(stream, { write_subject: again, replay: 'original' }), () => again);
  });

  it('goes into a stream that is made for it', async () => {
    const { stream, originals } = await filled(100, ['one.new', 'two.new']);
    await stored(stream);
    const order = { read_subject: `${stream}.*.new`, write_subject: `${stream}.{{wildcard(1)}}.made`, create_stream: true };
    const copies = await loaded(stream, order);
    assertReplayed(originals, copies, (subject) => subject.replace(/new$/, 'made'));
  });
});
