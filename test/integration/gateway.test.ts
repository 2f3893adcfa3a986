import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { encodeDrop } from '../../src/core/drop.ts';
import { encodeEnvelope } from '../../src/core/envelope.ts';
import { type NatsLink, openDocuments } from '../../src/jetstream/index.ts';
import {
  applied,
  change,
  connectTo,
  gatewayStage,
  publishBytes,
  publishFrame,
  readStream,
  settled,
} from '../support/gateway-stage.ts';
import { freshNats } from '../support/servers.ts';
import { until } from '../support/until.ts';

const withinMs = 20_000;
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? '').toString();

/** Waits for so many messages downstream and reads them. */
async function downstream(link: NatsLink, messages: number, stream = 'ES_CHANGES') {
  await until(
    `${messages} messages in ${stream}`,
    async () => (await link.manager.streams.info(stream)).state.messages >= messages,
    { withinMs },
  );
  return readStream(link, stream);
}

test('a frame that no rule touches passes as bytes, with its subject, id and headers', async (t) => {
  const { link, gateway } = await gatewayStage(t);
  const events = Array.from({ length: 100 }, (_, n) => change('a', n));
  await publishFrame(link, 'plain', events);
  await publishFrame(
    link,
    'packed',
    events.map((event) => ({ ...event, index: 'b.c', version: event.version + 1 })),
    100,
  );
  await publishFrame(link, 'plain', events);
  const passed = await downstream(link, 2);
  const given = await readStream(link, 'ES_CHANGES_RAW');
  assert.deepEqual(
    passed.map(({ subject, id, payload }) => [subject, id, text(payload)]),
    given.map(({ subject, id, payload }) => [subject, id, text(payload)]),
  );
  assert.equal(passed[1]?.headers.get('Content-Encoding'), 'zstd');
  assert.equal(passed[1]?.headers.get('Es-Documents'), '100');
  assert.equal(passed[1]?.subject, 'es.t.b%2Ec.index');
  await settled(link);
  const { body } = await gateway.get('/stats');
  const rows = (JSON.parse(body) as { indices: { index: string; documents: { in: number; passed: number } }[] }).indices;
  assert.deepEqual(
    rows.map(({ index, documents }) => [index, documents.in, documents.passed]),
    [
      ['a', 100, 100],
      ['b.c', 100, 100],
    ],
  );
});

test('only frames that lose documents are written anew', async (t) => {
  const { link } = await gatewayStage(t, { 'field-filters': JSON.stringify([{ where: { range: { field: 'n', gte: 5 } } }]) });
  await publishFrame(link, 'whole', [change('a', 5), change('a', 6)]);
  await publishFrame(link, 'part', [change('a', 4), change('a', 5)]);
  await settled(link);
  const messages = await readStream(link, 'ES_CHANGES');
  const [given] = await readStream(link, 'ES_CHANGES_RAW');
  assert.deepEqual(
    [messages[0]?.id, messages[0]?.subject, text(messages[0]?.payload)],
    ['whole', given?.subject, text(given?.payload)],
  );
  assert.deepEqual(
    messages
      .slice(1)
      .map(({ subject, id, headers }) => [subject, /^part\.[0-9a-f]+\.1$/.test(id ?? ''), headers.get('Es-Documents')]),
    [
      ['es.t.a.delete', true, '1'],
      ['es.t.a.index', true, '1'],
    ],
  );
});

test('without rules, too, a poison message becomes a dead letter, and a frame of another publisher passes', async (t) => {
  const { link, gateway } = await gatewayStage(t);
  const envelopes = Buffer.concat([change('a', 1), change('a', 2)].map(encodeEnvelope));
  await publishBytes(link, 'es.t.a.index', 'one', Buffer.from('hello'));
  await publishBytes(link, 'es.t.a.index', 'two', Buffer.from('no zstd'), new Map([['Content-Encoding', 'zstd']]));
  await publishBytes(link, 'es.t.a.index', 'three', envelopes, new Map([['X-Trace', 'abc']]));
  await settled(link);
  const [passed, ...others] = await readStream(link, 'ES_CHANGES');
  assert.deepEqual(others, []);
  assert.deepEqual([passed?.id, passed?.headers.get('X-Trace')], ['three', 'abc']);
  assert.ok(Buffer.from(passed!.payload).equals(envelopes));
  assert.equal(await gateway.metric('dead_letters_total'), 2);
  const letters = await readStream(link, 'ES_DLQ');
  assert.deepEqual(letters.map(({ payload }) => (JSON.parse(text(payload)) as { type: string }).type).sort(), [
    'ENVELOPE_FOREIGN',
    'FRAME_FOREIGN',
  ]);
});

test('a document that does not meet the conditions is deleted downstream with its own version', async (t) => {
  const filters = JSON.stringify([{ where: { range: { field: 'n', gte: 5 } } }]);
  const { link } = await gatewayStage(t, { 'field-filters': filters, 'exclude-patterns': 'secret-*' });
  await publishFrame(
    link,
    'one',
    Array.from({ length: 10 }, (_, n) => change('a', n)),
  );
  await publishFrame(link, 'two', [change('secret-1', 7)]);
  await publishFrame(link, 'three', [change('a', 8, { op: 'delete', version: 5_000 })]);
  await settled(link);
  const messages = await readStream(link, 'ES_CHANGES');
  assert.deepEqual(
    messages.map(({ subject, events }) => [subject, events.length]),
    [
      ['es.t.a.delete', 5],
      ['es.t.a.index', 5],
      ['es.t.a.delete', 1],
    ],
  );
  assert.deepEqual(
    messages[0]?.events.map(({ id, op, version, source }) => [id, op, version, source]),
    [0, 1, 2, 3, 4].map((n) => [`d${n}`, 'delete', 1_000 + n, undefined]),
  );
  assert.deepEqual([...applied(messages).keys()], ['a/d5', 'a/d6', 'a/d7', 'a/d9']);
  assert.equal(applied(messages).get('a/d5'), '{"n":5,"big":9007199254740993,"f":1.0}');
});

test('a large document by reference is copied to the bucket downstream', async (t) => {
  const { link } = await gatewayStage(t);
  const documents = await openDocuments(link, { stream: 'ES_CHANGES_RAW' });
  const source = Buffer.from(`{"text":"${randomBytes(2_000_000).toString('hex')}"}`);
  const sourceRef = await documents.put('large', source);
  await publishFrame(link, 'large', [change('a', 1, { sourceRef })]);
  await settled(link);
  await documents.removeThrough(0, Date.now() + 1_000);
  const [message] = await readStream(link, 'ES_CHANGES');
  const reference = message?.events[0]?.sourceRef;
  assert.equal(reference?.bucket, 'es-documents-ES_CHANGES');
  const copied = await (await openDocuments(link, { stream: 'ES_CHANGES' })).get(reference);
  assert.ok(Buffer.from(copied).equals(source));
});

test('what is no frame, and a document that cannot be transformed, become dead letters; the rest passes', async (t) => {
  const transforms = JSON.stringify([{ rename: { field: 'n', to: 'm' } }]);
  const { link } = await gatewayStage(t, { transforms });
  await publishBytes(link, 'es.t.a.index', 'x', Buffer.from('hello'));
  await publishBytes(link, 'es.odd', 'y', Buffer.from('hello'));
  await publishFrame(link, 'z', [change('a', 1), change('a', 2, { source: Buffer.from('{"n":1,"m":2}') })]);
  await settled(link);
  const letters = (await readStream(link, 'ES_DLQ')).map(({ subject, payload }) => [
    subject,
    (JSON.parse(text(payload)) as { type: string }).type,
  ]);
  assert.deepEqual(
    letters.toSorted((a, b) => a.join().localeCompare(b.join())),
    [
      ['dlq.es.t.a.index', 'TRANSFORM_IMPOSSIBLE'],
      ['dlq.es.unreadable', 'ENVELOPE_FOREIGN'],
      ['dlq.es.unreadable', 'SUBJECT_FOREIGN'],
    ],
  );
  assert.deepEqual([...applied(await readStream(link, 'ES_CHANGES'))], [['a/d1', '{"m":1,"big":9007199254740993,"f":1.0}']]);
});

test('the end of an index passes after all before it, and is acknowledged when downstream has acknowledged it', async (t) => {
  const { link } = await gatewayStage(t, { transforms: JSON.stringify([{ 'rename-index': { from: 'a', to: 'b' } }]) });
  for (let n = 0; n < 20; n++) await publishFrame(link, `f${n}`, [change('a', n)]);
  const dropped = await publishBytes(link, 'es.t.a.drop', 'drop', encodeDrop({ tenant: 't', index: 'a', version: 9_000, ts: 0 }));
  await publishFrame(link, 'other', [change('c', 1)]);
  const messages = await downstream(link, 22);
  const subjects = messages.map(({ subject }) => subject);
  assert.ok(subjects.indexOf('es.t.b.drop') > subjects.lastIndexOf('es.t.b.index'));
  assert.deepEqual(JSON.parse(text(messages.find(({ subject }) => subject === 'es.t.b.drop')?.payload)), {
    v: 1,
    tenant: 't',
    index: 'b',
    op: 'drop',
    version: 9_000,
    ts: 0,
  });
  const floor = async (): Promise<number> =>
    (await link.manager.consumers.info('ES_CHANGES_RAW', 'nats-gateway')).ack_floor.stream_seq;
  await until(
    'everything but the drop to be acknowledged',
    async () => {
      const { num_ack_pending } = await link.manager.consumers.info('ES_CHANGES_RAW', 'nats-gateway');
      return num_ack_pending === 1 && (await floor()) === dropped - 1;
    },
    { withinMs },
  );
  await link.manager.consumers.add('ES_CHANGES', { durable_name: 'writer', ack_policy: 'explicit' });
  const consumer = await link.jetstream.consumers.get('ES_CHANGES', 'writer');
  for await (const message of await consumer.fetch({ max_messages: 22, expires: 5_000 })) await message.ackAck();
  await settled(link);
  assert.equal(await floor(), dropped + 1);
});

async function keys(where: NatsLink, stream: string): Promise<string[]> {
  return [...applied(await readStream(where, stream)).keys()];
}

test('routes go to another prefix, stream and server; a message is acknowledged when all outputs have it', async (t) => {
  const other = await freshNats();
  t.after(() => other.stop());
  const routes = JSON.stringify([
    { name: 'far', where: { range: { field: 'n', lt: 3 } }, transforms: [{ drop: 'big' }], to: { url: other.url } },
    { name: 'copied', copy: true, 'include-indices': 'b', to: { prefix: 'eu' } },
    { name: 'named', 'include-indices': 'b', to: { stream: 'ES_B' } },
  ]);
  const { link } = await gatewayStage(t, { routes });
  await publishFrame(
    link,
    'one',
    [1, 2, 3, 4].map((n) => change('a', n)),
  );
  await publishFrame(link, 'two', [change('b', 5)]);
  await settled(link);
  const there = await connectTo(other.url);
  t.after(() => there.close());
  assert.deepEqual(await keys(there, 'ES_CHANGES'), ['a/d1', 'a/d2']);
  assert.equal(applied(await readStream(there, 'ES_CHANGES')).get('a/d1'), '{"n":1,"f":1.0}');
  assert.deepEqual(await keys(link, 'ES_CHANGES'), ['a/d3', 'a/d4']);
  assert.deepEqual(await keys(link, 'ES_B'), ['b/d5']);
  assert.deepEqual(
    (await readStream(link, 'ES_CHANGES_eu')).map(({ subject }) => subject),
    ['eu.t.b.index'],
  );
  assert.deepEqual(
    (await readStream(link, 'ES_B')).map(({ subject }) => subject),
    ['es.t.b.index'],
  );
  await other.kill();
  await publishFrame(link, 'three', [change('a', 1, { version: 9_000 })]);
  await until('the delete to be stored here', async () => (await readStream(link, 'ES_CHANGES')).length === 3, { withinMs });
  assert.equal((await link.manager.consumers.info('ES_CHANGES_RAW', 'nats-gateway')).num_ack_pending, 1);
  await other.restart();
  await settled(link);
});
