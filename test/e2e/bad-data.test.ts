import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test, type TestContext } from 'node:test';
import { Cluster } from '../support/cluster.ts';
import { forbidden, Gate } from '../support/gate.ts';
import { IndexLife } from '../support/index-life.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig, type RigOptions } from '../support/rig.ts';
import { freshNats, sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { publishForeign, readStream } from '../support/stream-history.ts';
import { until } from '../support/until.ts';

/** What one index, document or message does wrong must not stop the others. */
const seed = seedOfRun('bad-data');
const withinMs = 60_000;
let sourceUrl: string;
let targetUrl: string;
let number = 0;

before(async () => {
  // 9.4: the first version that can leave sequence numbers out.
  [sourceUrl, targetUrl] = [(await sharedElasticsearch('9.4')).url, (await sharedOpenSearch('2.19')).url];
  for (const url of [sourceUrl, targetUrl]) {
    const cluster = new Cluster(url);
    await cluster.json('PUT', '/_index_template/bad', {
      index_patterns: ['bad*'],
      priority: 700,
      template: { mappings: { dynamic: false } },
    });
    await cluster.close();
  }
});

after(async () => {
  for (const url of [sourceUrl, targetUrl]) {
    const cluster = new Cluster(url);
    await cluster.json('DELETE', '/_index_template/bad');
    await cluster.close();
  }
});

type Stage = { rig: Rig; life: IndexLife; nats: string; name: (suffix: string) => string; gate: Gate };

/** A rig with an index `fine`; `guarded` says which of the two clusters has the gate before it. */
async function stage(t: TestContext, guarded: 'source' | 'target', options: Partial<RigOptions> = {}): Promise<Stage> {
  const random = new Random(`${seed}/${number}`);
  const prefix = `bad${seed}${number++}`;
  const nats = await freshNats();
  const gate = await Gate.before(guarded === 'source' ? sourceUrl : targetUrl);
  const sees = guarded === 'source' ? { watcherSees: { source: gate.url } } : { writerSees: { target: gate.url } };
  const rig = new Rig({ random, prefix, source: sourceUrl, target: targetUrl, nats: nats.url, ...sees, ...options });
  t.after(async () => {
    await rig.stop();
    gate.close();
    for (const cluster of [rig.source, rig.target]) {
      for (const { index } of await cluster.indices(`${prefix}*`)) await cluster.json('DELETE', `/${index}`);
    }
    await Promise.all([rig.close(), nats.stop()]);
  });
  const name = (suffix: string): string => `${prefix}-${suffix}`;
  const life = new IndexLife(rig.source, random);
  await life.create(name('fine'));
  await life.write(name('fine'), 0, 30);
  return { rig, life, nats: nats.url, name, gate };
}

/** Waits for a line of the program's log, or of its readiness, that says all of this. */
async function said(rig: Rig, program: 'watcher' | 'writer', patterns: readonly RegExp[]): Promise<void> {
  const one = rig[program];
  const says = async (): Promise<boolean> => {
    const { body } = await one.get('/health/ready');
    return [...one.output.split('\n'), body].some((line) => patterns.every((pattern) => pattern.test(line)));
  };
  await until(`${program} to say ${patterns.join(' and ')}`, says, { withinMs }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${one.tail()}`);
  });
  assert.doesNotMatch(one.output, /\n\s+at /, 'no stack trace');
}

test('an index without _source and one without sequence numbers are named and left out; the others go on', async (t) => {
  const { rig, life, name } = await stage(t, 'source');
  await rig.source.json('PUT', `/${name('no-source')}`, { mappings: { _source: { enabled: false } } });
  await rig.source.json('PUT', `/${name('some-source')}`, { mappings: { _source: { excludes: ['secret'] } } });
  const numberless = await rig.source.send(
    'PUT',
    `/${name('no-numbers')}`,
    '{"settings":{"index.disable_sequence_numbers":true}}',
  );
  const named = ['no-source', 'some-source', ...(numberless.status === 200 ? ['no-numbers'] : [])].map(name);
  for (const index of named) await life.write(index, 0, 3);
  await rig.start();
  for (const index of named) await said(rig, 'watcher', [new RegExp(index), /exclude it with --index-patterns/]);
  await rig.source.json('PUT', `/${name('later')}`, { mappings: { _source: { enabled: false } } });
  await said(rig, 'watcher', [new RegExp(name('later'))]);
  await life.write(name('fine'), 20, 50);
  await rig.untilExact({ withinMs, kept: [...named, name('later')] });
  t.diagnostic(
    numberless.status === 200 ? 'with index.disable_sequence_numbers' : 'the server has no index.disable_sequence_numbers',
  );
});

test('no permission for _stats or _refresh of one index: it is named with the privilege, and the others go on', async (t) => {
  const { rig, life, name, gate } = await stage(t, 'source');
  await life.create(name('hidden'));
  await life.write(name('hidden'), 0, 10);
  for (const [api, privilege] of [
    ['_stats', /monitor/],
    ['_refresh', /maintenance|--refresh passive/],
  ] as const) {
    gate.answer = (_, path) => (path.includes(api) && path.includes(name('hidden')) ? forbidden(`indices:${api}`) : undefined);
    rig.revive();
    await life.write(name('fine'), 10, 60);
    await life.write(name('hidden'), 5, 15);
    await said(rig, 'watcher', [new RegExp(name('hidden')), privilege]);
    await rig.untilHolds(name('fine'), withinMs);
    gate.answer = () => undefined;
    await rig.watcher.ready();
    await rig.untilExact({ withinMs });
  }
});

test('no permission for _bulk: the writer says so, loses nothing, and goes on once it may', async (t) => {
  const { rig, life, name, gate } = await stage(t, 'target');
  gate.answer = (_, path) => (path.includes('_bulk') ? forbidden('indices:data/write/bulk') : undefined);
  await rig.watcher.startReady();
  rig.writer.start();
  await said(rig, 'writer', [/_bulk|write/, /403|unauthorized|permission|privilege/]);
  assert.equal((await rig.writer.get('/health/ready')).status, 503);
  await life.delete(name('fine'), 0, 5);
  gate.answer = () => undefined;
  await rig.writer.ready();
  await rig.untilExact({ withinMs });
  assert.equal(await rig.writer.metric('dead_letters_total'), 0);
});

test('an index that the target blocks for writing waits, and the others go on', async (t) => {
  const { rig, life, name } = await stage(t, 'target');
  await rig.target.json('PUT', `/${name('blocked')}`, { settings: { 'index.blocks.write': true } });
  await life.create(name('blocked'));
  await life.write(name('blocked'), 0, 20);
  await rig.start();
  await life.write(name('fine'), 20, 60);
  await said(rig, 'writer', [new RegExp(name('blocked')), /block/]);
  await rig.untilHolds(name('fine'), withinMs);
  await rig.target.json('PUT', `/${name('blocked')}/_settings`, { 'index.blocks.write': false });
  await life.delete(name('blocked'), 3, 6);
  await rig.untilExact({ withinMs });
  assert.equal(await rig.writer.metric('dead_letters_total'), 0);
});

test('a document that the target refuses is a dead letter with reason, target and envelope; the rest is written', async (t) => {
  const { rig, life, name, nats } = await stage(t, 'target');
  await rig.target.json('PUT', `/${name('strict')}`, { mappings: { dynamic: false, properties: { size: { type: 'integer' } } } });
  await life.create(name('strict'));
  await life.write(name('strict'), 0, 20);
  const text = '{"size":"not a number","n":9007199254740993,"f":1.0}';
  await rig.source.json('PUT', `/${name('strict')}/_doc/refused?routing=r`, text);
  await rig.start();
  await said(rig, 'writer', [new RegExp(name('strict')), /size|not a number|mapper/]);
  await until('the dead letter', async () => (await rig.writer.metric('dead_letters_total')) === 1, { withinMs });
  const [letter, ...more] = await readStream(nats, `${rig.prefix}_DLQ`);
  assert.equal(more.length, 0);
  const line = Buffer.from(letter!.payload).toString('utf8');
  assert.ok(line.includes(`"source":${text}`), line);
  const parsed = JSON.parse(line) as Record<string, unknown>;
  assert.equal(parsed['status'], 400);
  assert.equal(parsed['target_index'], name('strict'));
  assert.match(String(parsed['reason']), /size|number/);
  assert.match(JSON.stringify(parsed['target_hosts']), /127\.0\.0\.1/);
  assert.ok(Math.abs(Date.parse(String(parsed['time'])) - Date.now()) < 60_000);
  // What it is corrected to passes, and both sides are the same again.
  await rig.source.json('PUT', `/${name('strict')}/_doc/refused?routing=r`, '{"size":7}');
  await rig.untilExact({ withinMs });
});

test('messages of a foreign publisher are dead letters as they are; what is ours is written', async (t) => {
  const { rig, life, name, nats } = await stage(t, 'source');
  await rig.start();
  const subject = `es.${rig.prefix}.${name('fine')}.index`;
  await publishForeign(nats, subject, 'hello');
  await publishForeign(nats, subject, '{"id":"1"}');
  await publishForeign(nats, subject, '', {});
  await publishForeign(nats, subject, 'this is not zstd', { 'Content-Encoding': 'zstd' });
  await publishForeign(nats, subject, '{}', { 'Content-Encoding': 'br' });
  await publishForeign(nats, 'es.somebody', 'else');
  await publishForeign(nats, 'es.a.b.c.d.e', '{"v":1}');
  await publishForeign(nats, `es.${rig.prefix}.%ZZ.index`, '{"v":1}');
  await publishForeign(nats, `es.${rig.prefix}.${name('fine')}.drop`, 'no drop');
  await life.write(name('fine'), 20, 50);
  await said(rig, 'writer', [/--filter-subjects/]);
  await until('the dead letters', async () => (await readStream(nats, `${rig.prefix}_DLQ`)).length >= 8, { withinMs });
  await rig.untilExact({ withinMs });
  const letters = (await readStream(nats, `${rig.prefix}_DLQ`)).map(
    ({ payload }) => JSON.parse(Buffer.from(payload).toString('utf8')) as { payload?: string },
  );
  assert.ok(
    letters.some(({ payload }) => Buffer.from(payload ?? '', 'base64').toString() === 'hello'),
    JSON.stringify(letters),
  );
});

/** Text that stays above the payload limit of 1 MB when it is compressed. */
function large(): string {
  return `{"group":"g1","text":"${randomBytes(2_000_000).toString('base64')}"}`;
}

test('a document larger than a NATS message goes by the object store, there and back', async (t) => {
  const { rig, name } = await stage(t, 'source');
  await rig.source.json('PUT', `/${name('fine')}/_doc/large`, large());
  await rig.start();
  await rig.untilExact({ withinMs });
  await rig.source.json('PUT', `/${name('fine')}/_doc/large`, large());
  await rig.source.json('PUT', `/${name('fine')}/_doc/other`, large());
  await rig.untilExact({ withinMs });
  await rig.source.json('DELETE', `/${name('fine')}/_doc/large`);
  await rig.untilExact({ withinMs });
  assert.ok((await rig.watcher.metric('large_documents_total')) >= 3);
});
