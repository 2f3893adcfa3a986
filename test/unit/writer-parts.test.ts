import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeDrop } from '../../src/core/drop.ts';
import { decodeEnvelopes, encodeEnvelope } from '../../src/core/envelope.ts';
import { GatewayError } from '../../src/core/errors.ts';
import type { ChangeEvent } from '../../src/core/event.ts';
import type { Delivery, Message } from '../../src/core/strategy.ts';
import { type ElasticClient, ElasticError, type ElasticRequest } from '../../src/elastic/index.ts';
import { encodeLetter, type Undeliverable } from '../../src/jetstream/dead-letter.ts';
import { Drops, type DropsParts } from '../../src/es-writer/drops.ts';
import { IndexNames } from '../../src/core/index-names.ts';
import { Arrivals } from '../../src/es-writer/arrivals.ts';
import { freeMemory } from '../../src/core/free-memory.ts';
import { Intake } from '../../src/core/intake.ts';
import { bytesOf, countOf, itemsOf, openLoads } from '../../src/es-writer/open.ts';
import { ScriptedSource } from '../support/scripted-source.ts';
import { until } from '../support/until.ts';

const event: ChangeEvent = {
  tenant: 'acme',
  index: 'logs.2024',
  id: 'a/ü"',
  op: 'update',
  version: 9,
  seqNo: 4,
  primaryTerm: 1,
  ts: 5,
  routing: 'r',
  source: Buffer.from('{ "n":9007199254740993, "f":1.0 }'),
};

function messageOf(payload: Uint8Array, more: Partial<Message> = {}): Message {
  return {
    subject: 'es.acme.logs%2E2024.update',
    headers: new Map(),
    payload,
    sequence: 7,
    timestamp: 3,
    deliveries: 1,
    ...more,
  };
}

test('index names go where the first rule that fits sends them', () => {
  const names = new IndexNames([
    { from: 'logs-*', to: 'copy-logs-$1' },
    { from: 'a*b*', to: '$2-$1-$2' },
    { from: 'old', to: 'new' },
    { from: 'many-*-*', to: 'many-$1' },
    { from: 'all.*', to: 'all' },
  ]);
  const cases: [string, string, boolean][] = [
    ['logs-app', 'copy-logs-app', false],
    ['logs-', 'copy-logs-', false],
    ['xlogs-app', 'xlogs-app', false],
    ['a1b2', '2-1-2', false],
    ['old', 'new', false],
    ['older', 'older', false],
    ['many-x-1', 'many-x', true],
    ['all.x', 'all', true],
    ['allx', 'allx', false],
    ['$1', '$1', false],
  ];
  for (const [index, name, shared] of cases) assert.deepEqual(names.target(index), { name, shared }, index);
  assert.deepEqual(names.target('logs-$&'), { name: 'copy-logs-$&', shared: false });
});

test('a dead letter holds the envelope last, its document untouched', () => {
  const origin = { stream: 'ES_CHANGES', consumer: 'es-writer', hosts: ['http://target:9200'] };
  const refusal = { status: 400, type: 'mapper_parsing_exception', reason: 'x'.repeat(5_000) };
  const letter: Undeliverable = { is: 'change', event, targetIndex: 'copy' };
  const { subject, payload, id } = encodeLetter(letter, messageOf(Buffer.alloc(0)), refusal, origin, 0);
  assert.equal(subject, 'dlq.es.acme.logs%2E2024.update');
  const text = Buffer.from(payload).toString();
  const at = text.indexOf('"envelope":') + '"envelope":'.length;
  const [again] = decodeEnvelopes(Buffer.from(text.slice(at, -2)));
  assert.deepEqual(encodeEnvelope(again!), encodeEnvelope(event));
  const { envelope: _, ...head } = JSON.parse(text) as Record<string, unknown>;
  assert.deepEqual(head, {
    v: 1,
    type: 'mapper_parsing_exception',
    reason: 'x'.repeat(2_000),
    status: 400,
    target_index: 'copy',
    target_hosts: ['http://target:9200'],
    stream: 'ES_CHANGES',
    stream_sequence: 7,
    subject: 'es.acme.logs%2E2024.update',
    consumer: 'es-writer',
    time: '1970-01-01T00:00:00.000Z',
  });
  const other = encodeLetter({ ...letter, event: { ...event, version: 10 } }, messageOf(Buffer.alloc(0)), refusal, origin, 0);
  assert.notEqual(other.id, id);
  assert.equal(
    encodeLetter(letter, messageOf(Buffer.alloc(0)), refusal, origin, 99).id,
    id,
    'the id does not depend on the time',
  );
  assert.match(id!, /^[\w.-]+$/);
});

test('a message that cannot be read is kept as it is', () => {
  const origin = { stream: 'S', consumer: 'c', hosts: [] };
  const raw = Buffer.from([0, 255, 10, 34]);
  const message = messageOf(raw, { headers: new Map([['Content-Encoding', 'gzip']]) });
  const letter = encodeLetter({ is: 'unreadable' }, message, { status: 0, type: 'FRAME_FOREIGN', reason: 'no' }, origin, 0);
  assert.equal(letter.subject, 'dlq.es.unreadable');
  const read = JSON.parse(Buffer.from(letter.payload).toString()) as { payload: string; headers: object };
  assert.deepEqual(Buffer.from(read.payload, 'base64'), raw);
  assert.deepEqual(read.headers, { 'Content-Encoding': 'gzip' });
});

test('a letter about a large document refers to it', () => {
  const reference = { bucket: 'es-documents-ES_DLQ', name: 'n', bytes: 5 };
  const origin = { stream: 'S', consumer: 'c', hosts: [] };
  const refusal = { status: 400, type: 't', reason: 'r' };
  const { payload } = encodeLetter(
    { is: 'change', event, targetIndex: 'x' },
    messageOf(Buffer.alloc(0)),
    refusal,
    origin,
    0,
    reference,
  );
  const { envelope } = JSON.parse(Buffer.from(payload).toString()) as { envelope: Record<string, unknown> };
  assert.deepEqual(envelope['source_ref'], reference);
  assert.ok(!('source' in envelope));
});

test('documents too large for a message are fetched; one that is gone is refused alone, one that cannot be asked for comes again', async () => {
  const { source: _, ...bare } = event;
  const reference = { bucket: 'es-documents-X', name: 'n', bytes: 2 };
  const frame = messageOf(Buffer.concat([encodeEnvelope({ ...bare, id: 'large', sourceRef: reference }), encodeEnvelope(event)]));
  const open = async (get: () => Promise<Buffer>) => (await openLoads(frame, frame.payload, { get }, 5, 10)).flatMap(itemsOf);
  const found = await open(() => Promise.resolve(Buffer.from('{}')));
  assert.deepEqual(
    found.map((item) => [item.event.id, Buffer.from(item.event.source!).toString(), item.freshAt]),
    [
      ['large', '{}', 5],
      ['a/ü"', Buffer.from(event.source!).toString(), 5],
    ],
  );
  assert.ok(found.every((item) => item.event.sourceRef === undefined));
  const missing = new GatewayError('DOCUMENT_MISSING', 'not there');
  const gone = await open(() => Promise.reject(missing));
  assert.deepEqual(
    gone.map((item) => item.refusal?.type),
    ['DOCUMENT_MISSING', undefined],
  );
  assert.deepEqual(gone[0]!.event.sourceRef, reference);
  const away = new GatewayError('NATS_UNREACHABLE', 'away', { transient: true });
  await assert.rejects(
    open(() => Promise.reject(away)),
    away,
  );
});

test('a frame of our own is carried in blocks of as many as go into a batch', async () => {
  const frame = messageOf(Buffer.concat(Array.from({ length: 7 }, (_, n) => encodeEnvelope({ ...event, id: `${n}` }))));
  const loads = await openLoads(frame, frame.payload, { get: () => Promise.reject(new Error('not asked for')) }, 5, 3);
  assert.deepEqual(loads.map(countOf), [3, 3, 1]);
  assert.deepEqual(
    loads.flatMap(itemsOf).map((item) => item.event.id),
    ['0', '1', '2', '3', '4', '5', '6'],
  );
  for (const load of loads) assert.ok(bytesOf(load) >= countOf(load) * event.source!.length);
});

test('the intake takes what comes at once, extends its time, and gives back what nobody took', async () => {
  const source = new ScriptedSource(['one', 'two', 'drop', 'three'], { endless: true });
  const diverted: Delivery[] = [];
  const intake = new Intake({
    source,
    workingEveryMs: 1,
    take: (delivery) => {
      if (Buffer.from(delivery.message.payload).toString() !== 'drop') return delivery;
      diverted.push(delivery);
      return undefined;
    },
  });
  const taken: Delivery[] = [];
  let resume: ((value: unknown) => void) | undefined;
  const reading = (async () => {
    for await (const delivery of intake) {
      taken.push(delivery);
      // The target is away: nobody takes more.
      await new Promise((resolve) => (resume = resolve));
    }
  })();
  await until('everything to be delivered', () => source.delivered === 4, { withinMs: 5_000, everyMs: 1 });
  await until('time to be extended', () => (source.working.get(4) ?? 0) > 0, { withinMs: 5_000, everyMs: 10 });
  await intake.stop();
  resume?.(undefined);
  await reading;
  assert.deepEqual(
    taken.map(({ message }) => message.sequence),
    [1],
  );
  assert.deepEqual(
    diverted.map(({ message }) => message.sequence),
    [3],
  );
  assert.deepEqual(
    [...source.settlements],
    [
      [2, ['retryLater']],
      [4, ['retryLater']],
    ],
  );
});

test('a message was first delivered after the last look but one at the clock before it came', (t) => {
  let now = 1_000;
  const arrivals = new Arrivals(() => now);
  t.after(() => arrivals.stop());
  const message = messageOf(Buffer.alloc(0));
  arrivals.note(message);
  for (now of [60_000, 61_000]) arrivals.tick();
  assert.equal(arrivals.firstDelivered(message), 1_000, 'when it came, not when it is asked about');
  assert.equal(arrivals.firstDelivered({ ...message, deliveries: 2, timestamp: 17 }), 17, 'the second time nobody knows');
  const later = messageOf(Buffer.alloc(0));
  arrivals.note(later);
  assert.equal(arrivals.firstDelivered(later), 60_000);
});

test('the intake passes on what ends its source', async () => {
  const broken = new GatewayError('NATS_CLOSED', 'closed');
  const source = new ScriptedSource([], { endless: true });
  const failing = {
    stop: () => source.stop(),
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(broken) }),
  };
  const intake = new Intake({ source: failing, workingEveryMs: 1_000, take: (delivery) => delivery });
  await assert.rejects(async () => {
    for await (const _ of intake);
  }, broken);
});

/** Drops with a target that answers as scripted, and a consumer whose progress is set by hand. */
function dropsSetUp(answer: (request: ElasticRequest) => void = () => {}, more: Partial<DropsParts> = {}) {
  const requests: string[] = [];
  const letters: [Undeliverable, string][] = [];
  const dropped: string[] = [];
  const troubles: unknown[] = [];
  const progress = { acknowledged: 0 };
  const ok = (request: ElasticRequest): Promise<never> => {
    requests.push(`${request.method} ${request.path}`);
    answer(request);
    return Promise.resolve(undefined as never);
  };
  const drops = new Drops({
    client: { ok } as unknown as ElasticClient,
    names: new IndexNames([
      { from: 'logs-*', to: 'copy-$1' },
      { from: 'merged-*', to: 'merged' },
    ]),
    allBefore: (sequence) => Promise.resolve(progress.acknowledged >= sequence - 1),
    deadLetter: (letter, _message, refusal) => {
      letters.push([letter, refusal.type]);
      return Promise.resolve();
    },
    onDropped: (drop) => dropped.push(drop.index),
    onTrouble: (error) => troubles.push(error),
    everyMs: 1,
    workingEveryMs: 2,
    ...more,
  });
  return { drops, requests, letters, dropped, troubles, progress };
}

async function deliver(drops: Drops, payload: Uint8Array, sequence: number, subject = 'es.acme.x.drop') {
  const settled: string[] = [];
  const delivery: Delivery = {
    message: messageOf(payload, { sequence, subject }),
    ack: () => Promise.resolve(void settled.push('ack')),
    retryLater: () => void settled.push('retryLater'),
    working: () => void (settled.includes('working') || settled.push('working')),
  };
  return { taken: drops.take(delivery), settled };
}

const drop = (index: string): Buffer => encodeDrop({ tenant: 'acme', index, version: 5, ts: 0 });

test('an index goes once everything before its end is acknowledged, and not sooner', async () => {
  const { drops, requests, progress, dropped } = dropsSetUp();
  const second = await deliver(drops, drop('orders'), 12);
  const first = await deliver(drops, drop('logs-app'), 10);
  await until('time to be extended', () => first.settled.includes('working'), { withinMs: 5_000, everyMs: 1 });
  assert.deepEqual(requests, []);
  progress.acknowledged = 9;
  await until('the first to go', () => first.settled.includes('ack'), { withinMs: 5_000, everyMs: 1 });
  assert.deepEqual(requests, ['DELETE /copy-app'], 'under its name at the target');
  assert.ok(!second.settled.includes('ack'));
  progress.acknowledged = 11;
  await until('the second to go', () => second.settled.includes('ack'), { withinMs: 5_000, everyMs: 1 });
  assert.deepEqual(dropped, ['logs-app', 'orders']);
  assert.equal(drops.waiting, 0);
  assert.equal((await deliver(drops, drop('x'), 13, 'es.acme.x.delete')).taken, false, 'only drops are taken');
});

test('an index that is not there is gone, a target that is away is asked again', async () => {
  let tries = 0;
  const { drops, troubles, progress, letters } = dropsSetUp(() => {
    tries++;
    if (tries < 3) throw new ElasticError('ES_UNREACHABLE', 'away', { transient: true });
    if (tries === 3) throw new ElasticError('ES_FORBIDDEN', 'not for you', { status: 403 });
    throw new ElasticError('ES_NOT_FOUND', 'no such index', { status: 404, type: 'index_not_found_exception' });
  });
  progress.acknowledged = 99;
  const { settled } = await deliver(drops, drop('orders'), 10);
  await until('the drop to be settled', () => settled.includes('ack'), { withinMs: 5_000, everyMs: 1 });
  assert.equal(troubles.length, 3);
  assert.deepEqual(letters, []);
});

test('what must not or cannot be deleted becomes a dead letter', async () => {
  const refused = new ElasticError('ES_REQUEST_REFUSED', 'no', {
    status: 400,
    type: 'illegal_argument_exception',
    reason: 'a write index',
  });
  const { drops, requests, letters, progress } = dropsSetUp(() => {
    throw refused;
  });
  progress.acknowledged = 99;
  const cases: [Uint8Array, string][] = [
    [drop('orders'), 'illegal_argument_exception'],
    [drop('merged-1'), 'index_shared'],
    [Buffer.from('{"v":1}'), 'ENVELOPE_FOREIGN'],
    ...['*', '_all', 'a,b', 'a*', '-a', '..', '<logs-{now}>', 'a b', 'a/b'].map((name): [Uint8Array, string] => [
      drop(name),
      'index_name_invalid',
    ]),
  ];
  for (const [payload, type] of cases) {
    const { settled } = await deliver(drops, payload, 10);
    await until('the drop to be settled', () => settled.includes('ack'), { withinMs: 5_000, everyMs: 1 });
    assert.equal(letters.at(-1)![1], type);
  }
  assert.deepEqual(requests, ['DELETE /orders']);
});

test('drops that wait when the program stops are given back', async () => {
  const { drops } = dropsSetUp();
  const { settled } = await deliver(drops, drop('orders'), 10);
  await drops.stop();
  assert.equal(settled.at(-1), 'retryLater');
});

test('memory that is given back is empty, and shared memory is left alone', () => {
  const own = Buffer.from(new ArrayBuffer(100_000));
  const view = own.subarray(10, 20);
  freeMemory(own);
  assert.equal(view.length, 0);
  const shared = Buffer.from(new ArrayBuffer(100_000)).subarray(0, 50_000);
  freeMemory(shared);
  assert.equal(shared.length, 50_000);
});
