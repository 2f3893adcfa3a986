import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Server } from '../../scripts/servers.ts';
import type { ChangeEvent } from '../../src/core/event.ts';
import { Gate } from '../support/gate.ts';
import { makeHistory } from '../support/history.ts';
import type { Program } from '../support/programs.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { freshOpenSearch, sharedElasticsearch } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { difference, exact, WriterRig } from '../support/writer-rig.ts';

const random = new Random(seedOfRun('es-writer faults'));
let tests = 0;
const fresh = (what: string): string => `es-writer-fault-${process.pid}-${what}-${tests++}`;

function change(index: string, id: string, version: number, source = '{"n":1}'): ChangeEvent {
  return {
    tenant: 'acme',
    index,
    id,
    op: 'index',
    version,
    seqNo: version,
    primaryTerm: 1,
    ts: Date.now(),
    source: Buffer.from(source),
  };
}

async function stored(writer: Program): Promise<number> {
  const stats = JSON.parse((await writer.get('/stats')).body) as { documents: { stored: number; stale: number } };
  return stats.documents.stored + stats.documents.stale;
}

async function notReady(writer: Program, why: RegExp): Promise<void> {
  await until(
    `readiness to say ${why.source}`,
    async () => {
      const { status, body } = await writer.get('/health/ready');
      return status === 503 && why.test(body);
    },
    { withinMs: 30_000 },
  );
}

describe('es-writer under faults', () => {
  let rig: WriterRig;
  before(async () => {
    rig = await WriterRig.open((await sharedElasticsearch('8.19')).url);
  });
  afterEach(() => rig.killAll());
  after(() => rig.close());

  it('goes on where it was after being killed, again and again', async () => {
    const index = fresh('killed');
    const { events, expected } = makeHistory(random.fork('killed'), index, 8_000);
    await rig.makeIndex(index);
    await rig.scatter(random.fork('killed order'), events);
    const writer = rig.program(['--ack-wait', '2s', '--bulk-concurrency', '2', '--batch-size', '200']);
    for (let kills = 0; kills < 4; kills++) {
      await writer.startReady();
      const enough = 300 + 500 * kills;
      await until('some documents to be written', async () => (await stored(writer)) >= enough, { withinMs: 60_000, everyMs: 5 });
      await writer.kill();
    }
    await writer.startReady();
    await rig.settled();
    assert.deepEqual(difference(await rig.documents(index), expected), exact);
    assert.equal((await rig.letters()).length, 0);
    assert.equal((await writer.stop()).code, 0);
  });

  it('drains at SIGTERM: writes what it has, gives back the rest, exits 0', async () => {
    const index = fresh('drained');
    const { events, expected } = makeHistory(random.fork('drained'), index, 6_000);
    await rig.makeIndex(index);
    const writer = await rig.writer(['--bulk-concurrency', '1', '--batch-size', '100']);
    await rig.scatter(random.fork('drained order'), events);
    await until('some documents to be written', async () => (await stored(writer)) > 300, { withinMs: 60_000, everyMs: 5 });
    assert.deepEqual(await writer.stop(), { code: 0, signal: null });
    const { num_ack_pending } = await rig.link.manager.consumers.info('ES_CHANGES', 'es-writer');
    // What was given back is not waited for: the next writer has it at once.
    const next = await rig.writer(['--ack-wait', '1h']);
    await rig.settled(60_000);
    assert.ok(num_ack_pending >= 0);
    assert.deepEqual(difference(await rig.documents(index), expected), exact);
    assert.equal((await next.stop()).code, 0);
  });

  it('waits for a target that does not accept its credentials, and loses nothing', async () => {
    const index = fresh('denied');
    const front = await Gate.before(rig.cluster.url);
    const writer = await rig.writer(['--ack-wait', '1s'], front.url);
    const before = (await rig.letters()).length;
    front.answer = (_method, path) =>
      path.startsWith('/_bulk')
        ? { status: 401, body: { error: { type: 'security_exception', reason: 'who are you?' }, status: 401 } }
        : undefined;
    await rig.publish(Array.from({ length: 120 }, (_, n) => change(index, `${n}`, 1)));
    await notReady(writer, /401.*--es-username/);
    // Messages in hand must outlast their ack wait.
    await until('many refusals', () => front.answered > 8, { withinMs: 30_000 });
    front.answer = (_method, path) =>
      path.startsWith('/_bulk')
        ? { status: 403, body: { error: { type: 'security_exception', reason: 'action is unauthorized' }, status: 403 } }
        : undefined;
    await notReady(writer, /403.*grant/);
    front.answer = () => undefined;
    await writer.ready();
    await rig.settled();
    assert.equal((await rig.documents(index)).size, 120);
    assert.equal((await rig.letters()).length, before);
    const warnings = writer.logs().filter((line) => line['about'] === 'target');
    assert.deepEqual(
      warnings.map((line) => [line.level, line.code]),
      [
        ['warn', 'ES_UNAUTHORIZED'],
        ['warn', 'ES_FORBIDDEN'],
        ['info', undefined],
      ],
      'one line a change of state',
    );
    await writer.stop();
    front.close();
  });

  it('tries only what was busy again, and counts no try against a document', async () => {
    const index = fresh('busy');
    const front = await Gate.before(rig.cluster.url);
    let left = 6;
    front.answer = (_method, path) => {
      if (!path.startsWith('/_bulk') || left === 0) return undefined;
      left--;
      return left % 2 === 0
        ? { status: 429, body: { error: { type: 'es_rejected_execution_exception', reason: 'full' }, status: 429 } }
        : { status: 503, body: { error: { type: 'unavailable_shards_exception', reason: 'not yet' }, status: 503 } };
    };
    const writer = await rig.writer([], front.url);
    await rig.publish(Array.from({ length: 100 }, (_, n) => change(index, `${n}`, 1)));
    await rig.settled();
    assert.equal((await rig.documents(index)).size, 100);
    assert.ok((await writer.metric('retries_total')) >= 100);
    await writer.stop();
    front.close();
  });

  it('gives up on a busy document after --retry-attempts-max, and keeps it', async () => {
    const index = fresh('attempts');
    const front = await Gate.before(rig.cluster.url);
    front.answer = (_method, path) =>
      path.startsWith('/_bulk')
        ? { status: 429, body: { error: { type: 'es_rejected_execution_exception', reason: 'full' }, status: 429 } }
        : undefined;
    const before = (await rig.letters()).length;
    const writer = await rig.writer(['--retry-attempts-max', '3'], front.url);
    await rig.publish([change(index, '1', 1)]);
    await rig.settled();
    const letters = (await rig.letters()).slice(before);
    assert.deepEqual(
      letters.map(({ body }) => [body['type'], body['status']]),
      [['retries_exhausted', 429]],
    );
    assert.equal(front.answered, 3);
    await writer.stop();
    front.close();
  });

  it('waits for a dead-letter stream that is full, says so, and loses nothing', async () => {
    const index = fresh('full');
    const stream = 'SMALL_DLQ';
    await rig.link.manager.streams.delete('ES_DLQ');
    await rig.link.manager.streams.add({
      name: stream,
      subjects: ['dlq.es.>'],
      max_bytes: 20_000,
      discard: 'new',
      retention: 'limits',
    });
    await rig.cluster.json('PUT', `/${index}`, { mappings: { properties: { n: { type: 'integer' } } } });
    const writer = await rig.writer(['--dlq-stream', stream, '--ack-wait', '2s']);
    const wrong = Array.from({ length: 200 }, (_, n) => change(index, `wrong ${n}`, 1, '{"n":"no number"}'));
    await rig.publish(wrong);
    await rig.publish(Array.from({ length: 50 }, (_, n) => change(index, `right ${n}`, 1)));
    await notReady(writer, /dead letters wait for stream SMALL_DLQ.*--dlq-stream/);
    assert.equal(await writer.metric('dead_letter_waiting'), 1);
    assert.equal((await rig.documents(index)).size, 50, 'the others are written');
    const { num_ack_pending } = await rig.link.manager.consumers.info('ES_CHANGES', 'es-writer');
    assert.ok(num_ack_pending > 0, 'nothing is acknowledged before its dead letter is stored');
    await rig.link.manager.streams.update(stream, { max_bytes: 10_000_000 });
    await rig.settled();
    await writer.ready();
    const ids = new Set((await rig.letters(stream)).map(({ body }) => (body['envelope'] as { id: string }).id));
    assert.equal(ids.size, 200);
    assert.equal((await writer.stop()).code, 0);
    await rig.link.manager.streams.delete(stream);
  });

  it('makes the dead-letter stream again when it is gone', async () => {
    const index = fresh('letters-gone');
    await rig.cluster.json('PUT', `/${index}`, { mappings: { properties: { n: { type: 'integer' } } } });
    const writer = await rig.writer();
    await rig.link.manager.streams.delete('ES_DLQ');
    await rig.publish([change(index, '1', 1, '{"n":"no number"}'), change(index, '2', 1)]);
    await rig.settled();
    assert.equal((await rig.letters()).length, 1);
    assert.equal((await rig.documents(index)).size, 1);
    await writer.stop();
  });

  it('stops in time although its dead letters cannot be stored', async () => {
    const index = fresh('stuck');
    await rig.link.manager.streams.delete('ES_DLQ');
    await rig.link.manager.streams.add({ name: 'TINY_DLQ', subjects: ['dlq.es.>'], max_bytes: 100, discard: 'new' });
    await rig.cluster.json('PUT', `/${index}`, { mappings: { properties: { n: { type: 'integer' } } } });
    const writer = await rig.writer(['--dlq-stream', 'TINY_DLQ', '--drain-timeout', '3s']);
    await rig.publish([change(index, '1', 1, '{"n":"no number"}'), change(index, '2', 1)]);
    await notReady(writer, /TINY_DLQ/);
    assert.deepEqual(await writer.stop(), { code: 0, signal: null });
    await rig.link.manager.streams.delete('TINY_DLQ');
    const next = await rig.writer();
    await rig.settled();
    assert.equal((await rig.letters()).length, 1);
    await next.stop();
  });

  it('goes on when NATS was killed and is back', async () => {
    const index = fresh('nats');
    const { events, expected } = makeHistory(random.fork('nats'), index, 5_000);
    await rig.makeIndex(index);
    await rig.scatter(random.fork('nats order'), events);
    const writer = await rig.writer(['--batch-size', '100', '--bulk-concurrency', '2', '--ack-wait', '2s']);
    await until('some documents to be written', async () => (await stored(writer)) > 300, { withinMs: 60_000, everyMs: 5 });
    await rig.nats.kill('SIGKILL');
    await notReady(writer, /not connected to NATS/);
    await rig.nats.restart();
    await writer.ready();
    await rig.settled();
    assert.deepEqual(difference(await rig.documents(index), expected), exact);
    assert.equal((await writer.stop()).code, 0);
  });
});

describe('es-writer and a target that fails', () => {
  let target: Server;
  let rig: WriterRig;
  before(async () => {
    target = await freshOpenSearch('2.19');
    rig = await WriterRig.open(target.url);
  });
  after(async () => {
    await rig.close();
    await target.stop();
  });

  it('goes on when the target was killed and is back', async () => {
    const index = fresh('target');
    const { events, expected } = makeHistory(random.fork('target'), index, 6_000);
    await rig.makeIndex(index);
    const writer = await rig.writer(['--batch-size', '100', '--bulk-concurrency', '2', '--retry-attempts-max', '2']);
    await rig.scatter(random.fork('target order'), events);
    await until('some documents to be written', async () => (await stored(writer)) > 300, { withinMs: 60_000, everyMs: 5 });
    await target.kill('SIGKILL');
    await notReady(writer, /cannot reach.*--es-hosts/);
    await target.restart();
    await writer.ready(120_000);
    await rig.settled();
    assert.deepEqual(difference(await rig.documents(index), expected), exact);
    const { deadLetters } = JSON.parse((await writer.get('/stats')).body) as { deadLetters: number };
    assert.equal(deadLetters, 0, 'a target that is away is no fault of a document');
    await writer.stop();
  });

  it('stops in time while the target hangs', async () => {
    const index = fresh('hanging');
    const writer = await rig.writer(['--drain-timeout', '4s']);
    await target.kill('SIGSTOP');
    try {
      await rig.publish([change(index, '1', 1)]);
      const underWay = async (): Promise<boolean> => {
        const { held } = JSON.parse((await writer.get('/stats')).body) as { held: { inFlight: number } };
        return held.inFlight > 0;
      };
      await until('the request to be under way', underWay, { withinMs: 10_000 });
      assert.deepEqual(await writer.stop(), { code: 0, signal: null });
    } finally {
      await target.kill('SIGCONT');
    }
  });
});
