import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { encodeDrop } from '../../src/core/drop.ts';
import { encodeEnvelope } from '../../src/core/envelope.ts';
import type { ChangeEvent } from '../../src/core/event.ts';
import { openDocuments } from '../../src/jetstream/index.ts';
import { Gate } from '../support/gate.ts';
import { documentKey, makeHistory } from '../support/history.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { difference, exact, WriterRig } from '../support/writer-rig.ts';

const random = new Random(seedOfRun('es-writer flow'));
let tests = 0;
/** An index name that nobody else uses on the shared servers. */
const fresh = (what: string): string => `es-writer-${process.pid}-${what}-${tests++}`;

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

function remove(index: string, id: string, version: number): ChangeEvent {
  const { source: _, ...rest } = change(index, id, version);
  return { ...rest, op: 'delete' };
}

for (const [name, target] of [
  ['Elasticsearch 8.19', async () => (await sharedElasticsearch('8.19')).url],
  ['OpenSearch 2.19', async () => (await sharedOpenSearch('2.19')).url],
] as const) {
  describe(`es-writer to ${name}`, () => {
    let rig: WriterRig;
    before(async () => {
      rig = await WriterRig.open(await target());
    });
    afterEach(() => rig.killAll());
    after(() => rig.close());

    it('writes 20,000 changes exactly, though frames come twice and in any order', async () => {
      const index = fresh('exact');
      const { events, expected } = makeHistory(random.fork(name), index, 20_000);
      await rig.makeIndex(index);
      const writer = await rig.writer();
      await rig.scatter(random.fork(`${name} order`), events);
      await rig.settled();
      assert.deepEqual(difference(await rig.documents(index), expected), exact);
      const stats = JSON.parse((await writer.get('/stats')).body) as { documents: Record<string, number>; deadLetters: number };
      assert.equal(stats.deadLetters, 0);
      assert.equal(await writer.metric('documents_total'), stats.documents['stored']! + stats.documents['stale']!);
      assert.ok(stats.documents['stale']! > 0, 'repeats and older versions are stale');
      assert.deepEqual(await writer.stop(), { code: 0, signal: null });
      assert.deepEqual(await rig.link.manager.consumers.info('ES_CHANGES', 'es-writer').then((info) => info.num_ack_pending), 0);
    });

    it('raises index.gc_deletes on what it writes', async () => {
      const index = fresh('gc');
      const writer = await rig.writer(['--gc-deletes', '90m']);
      await rig.publish([change(index, '1', 1)]);
      await rig.settled();
      const settings = (await rig.cluster.json('GET', `/${index}/_settings?flat_settings=true`)) as Record<
        string,
        { settings: Record<string, string> }
      >;
      assert.equal(settings[index]!.settings['index.gc_deletes'], '5400000ms');
      await writer.stop();
    });

    it('does not bring back a document whose delete the target has forgotten', async () => {
      const index = fresh('forgotten');
      await rig.cluster.json('PUT', `/${index}`, { settings: { 'index.gc_deletes': '1ms', number_of_replicas: 0 } });
      // A consumer that takes the old frame and does not acknowledge it: it comes again, long after the delete was applied.
      const consumer = fresh('late').replaceAll('-', '_');
      const old = await rig.publish([change(index, 'gone', 10), change(index, 'stays', 10)]);
      await rig.link.manager.consumers.add('ES_CHANGES', {
        durable_name: consumer,
        ack_policy: 'explicit',
        deliver_policy: 'by_start_sequence',
        opt_start_seq: old,
        ack_wait: 2_000_000_000,
      });
      const stuck = await (await rig.link.jetstream.consumers.get('ES_CHANGES', consumer)).next();
      assert.equal(stuck!.seq, old);
      await rig.publish([remove(index, 'gone', 11)]);
      const writer = await rig.writer(['--consumer', consumer, '--gc-deletes', '0', '--ack-wait', '2s']);
      await rig.settled(60_000, consumer);
      assert.deepEqual([...(await rig.documents(index)).keys()], [documentKey('stays', undefined)]);
      assert.ok((await writer.metric('late_writes_total')) >= 2);
      assert.ok((await writer.metric('late_scans_total')) >= 1);
      const stats = JSON.parse((await writer.get('/stats')).body) as { late: { stale: number; written: number } };
      assert.ok(stats.late.stale >= 1 && stats.late.written >= 1);
      await writer.stop();
      await rig.link.manager.consumers.delete('ES_CHANGES', consumer);
    });

    it('keeps what the target refuses as dead letters, and writes the rest', async () => {
      const index = fresh('refused');
      await rig.cluster.json('PUT', `/${index}`, { mappings: { properties: { n: { type: 'integer' } } } });
      const writer = await rig.writer();
      const source = '{ "n" : "not a number", "big":9007199254740993 }';
      const events = Array.from({ length: 40 }, (_, n) => change(index, `${n}`, 100 + n, n % 8 === 0 ? source : `{"n":${n}}`));
      const before = (await rig.letters()).length;
      const sequence = await rig.publish(events);
      await rig.settled();
      assert.equal((await rig.documents(index)).size, 35);
      const letters = (await rig.letters()).slice(before);
      assert.equal(letters.length, 5);
      for (const letter of letters) {
        const { body } = letter;
        assert.equal(letter.subject, `dlq.es.acme.${index}.index`);
        assert.ok(letter.text.includes(`"source":${source}}}`), 'the document is untouched');
        assert.equal(body['status'], 400);
        assert.match(String(body['type']), /pars/);
        assert.match(String(body['reason']), /\[n\]/);
        assert.equal(body['target_index'], index);
        assert.deepEqual(body['target_hosts'], [rig.cluster.url]);
        assert.deepEqual([body['stream'], body['stream_sequence'], body['consumer']], ['ES_CHANGES', sequence, 'es-writer']);
        assert.ok(Math.abs(Date.parse(String(body['time'])) - Date.now()) < 60_000);
      }
      assert.equal(new Set(letters.map((letter) => letter.id)).size, 5);
      assert.equal(await writer.metric('dead_letters_total'), 5);
      assert.equal(await writer.metric('dead_letter_waiting'), 0);
      await writer.stop();
    });

    it('keeps foreign messages as they are, and writes the rest', async () => {
      const index = fresh('foreign');
      const writer = await rig.writer();
      const before = (await rig.letters()).length;
      const zstd = new Map([['Content-Encoding', 'zstd']]);
      await rig.publishRaw('es.hello', 'world');
      await rig.publishRaw('es.a.b.index', Buffer.from([0xff, 0x00, 0x7b, 0x0a]));
      await rig.publish([change(index, '1', 1)]);
      await rig.publishRaw(`es.acme.${index}.index`, 'not compressed', zstd);
      await rig.publishRaw(`es.acme.${index}.index`, '{"v":2,"future":true}');
      await rig.publishRaw('es.acme.x.index', '');
      await rig.publishRaw(`es.acme.${index}.drop`, 'not a drop');
      await rig.publish([change(index, '2', 1)]);
      await rig.settled();
      assert.equal((await rig.documents(index)).size, 2);
      const letters = (await rig.letters()).slice(before);
      assert.deepEqual(letters.map(({ body }) => String(body['type'])).sort(), [
        'ENVELOPE_FOREIGN',
        'ENVELOPE_FOREIGN',
        'ENVELOPE_FOREIGN',
        'ENVELOPE_NEWER',
        'FRAME_FOREIGN',
      ]);
      for (const letter of letters) assert.equal(letter.subject, 'dlq.es.unreadable');
      const raw = letters.find(({ body }) => body['subject'] === 'es.a.b.index')!.body;
      assert.deepEqual(Buffer.from(String(raw['payload']), 'base64'), Buffer.from([0xff, 0x00, 0x7b, 0x0a]));
      await writer.stop();
    });

    it('deletes an index at its end, after all that was before and before all that is next', async () => {
      const index = fresh('dropped');
      const other = fresh('other');
      const writer = await rig.writer(['--rename', `${index}=${index}-copy`]);
      for (let version = 1; version <= 20; version++) await rig.publish([change(index, `${version}`, version)]);
      const drop = { tenant: 'acme', index, version: 1_000, ts: Date.now() };
      await rig.publishRaw(`es.acme.${index}.drop`, encodeDrop(drop));
      await rig.publish([change(other, '1', 1)]);
      await rig.settled();
      assert.deepEqual(await rig.cluster.indices(`${index}*`), []);
      assert.equal((await rig.documents(other)).size, 1);
      await rig.publish([change(index, 'again', 5_000)]);
      await rig.settled();
      assert.deepEqual([...(await rig.documents(`${index}-copy`)).keys()], [documentKey('again', undefined)]);
      await writer.stop();
    });

    it('fetches documents too large for a message, and keeps what has lost its document', async () => {
      const index = fresh('large');
      const documents = await openDocuments(rig.link, { stream: 'ES_CHANGES', maxBytes: 64 * 1024 * 1024 });
      const large = JSON.stringify({ text: 'lorem ipsum '.repeat(200_000) });
      const sourceRef = await documents.put(`${index}.1`, Buffer.from(large));
      const { source: _, ...bare } = change(index, 'large', 1);
      const writer = await rig.writer();
      const before = (await rig.letters()).length;
      await rig.publish([
        { ...bare, sourceRef },
        { ...bare, id: 'lost', sourceRef: { ...sourceRef, name: 'never put' } },
        change(index, 'small', 1),
      ]);
      await rig.settled();
      const found = await rig.documents(index);
      assert.deepEqual([...found.keys()].sort(), [documentKey('large', undefined), documentKey('small', undefined)]);
      assert.equal(found.get(documentKey('large', undefined)), large);
      const letters = (await rig.letters()).slice(before);
      assert.deepEqual(
        letters.map(({ body }) => body['type']),
        ['DOCUMENT_MISSING'],
      );
      await writer.stop();
    });
  });
}

describe('es-writer', () => {
  let rig: WriterRig;
  before(async () => {
    rig = await WriterRig.open((await sharedElasticsearch('8.19')).url);
  });
  afterEach(() => rig.killAll());
  after(() => rig.close());

  it('shares the work of one consumer between several writers', async () => {
    const index = fresh('shared');
    const { events, expected } = makeHistory(random.fork('shared'), index, 6_000);
    await rig.makeIndex(index);
    const writers = [await rig.writer(['--inflight-frames-max', '8']), await rig.writer(['--inflight-frames-max', '8'])];
    await rig.scatter(random.fork('shared order'), events);
    await rig.settled();
    assert.deepEqual(difference(await rig.documents(index), expected), exact);
    const shares = await Promise.all(writers.map((writer) => writer.metric('frames_total')));
    assert.ok(Math.min(...shares) > 0, `${shares.join(' and ')} frames`);
    for (const writer of writers) assert.equal((await writer.stop()).code, 0);
  });

  it('renames indices, and takes only the subjects it is told to', async () => {
    const index = fresh('renamed');
    const flags = [
      '--consumer',
      'narrow',
      '--filter-subjects',
      `es.acme.${index}.*`,
      '--rename',
      'es-writer-*-renamed-*=copied-$2-$1',
    ];
    const writer = await rig.writer(flags);
    await rig.publish([change(index, '1', 1)]);
    await rig.publish([change(fresh('untouched'), '1', 1)]);
    const copy = `copied-${index.split('-').at(-1)!}-${process.pid}`;
    await until('the copy', async () => (await rig.documents(copy)).size === 1, { withinMs: 30_000 });
    assert.deepEqual(await rig.cluster.indices('es-writer-*-untouched-*'), []);
    await writer.stop();
  });

  it('does not delete an index that others are written to as well', async () => {
    const [one, two] = [fresh('merged'), fresh('merged')];
    const merged = fresh('into');
    const writer = await rig.writer([
      '--consumer',
      'merging',
      '--filter-subjects',
      `es.acme.${one}.*,es.acme.${two}.*`,
      '--rename',
      `es-writer-*-merged-*=${merged}`,
    ]);
    await rig.publish([change(one, '1', 1)]);
    await rig.publish([change(two, '2', 1)]);
    await rig.publishRaw(`es.acme.${one}.drop`, encodeDrop({ tenant: 'acme', index: one, version: 9, ts: 0 }));
    const letter = await until(
      'the dead letter',
      async () => (await rig.letters()).find(({ subject }) => subject === `dlq.es.acme.${one}.drop`),
      {
        withinMs: 30_000,
      },
    );
    assert.equal(letter.body['type'], 'index_shared');
    assert.deepEqual((letter.body['envelope'] as Record<string, unknown>)['op'], 'drop');
    assert.equal((await rig.documents(merged)).size, 2);
    await writer.stop();
  });

  it('keeps a refused document that is too large for a message in the object store', async () => {
    const index = fresh('large-refused');
    await rig.cluster.json('PUT', `/${index}`, { mappings: { properties: { n: { type: 'integer' } } } });
    const text = JSON.stringify({ n: 'no number', text: 'lorem ipsum dolor '.repeat(100_000) });
    const before = (await rig.letters()).length;
    const writer = await rig.writer();
    await rig.publish([change(index, '1', 1, text)]);
    await rig.settled();
    const [letter] = (await rig.letters()).slice(before);
    const envelope = letter!.body['envelope'] as { source_ref: { bucket: string; name: string; bytes: number } };
    const { readDocuments } = await import('../../src/jetstream/index.ts');
    assert.equal(Buffer.from(await readDocuments(rig.link).get(envelope.source_ref)).toString(), text);
    await writer.stop();
  });

  it('says with --check what it would do, and does nothing', async () => {
    const alone = await WriterRig.open(rig.cluster.url);
    await alone.link.manager.streams.delete('ES_CHANGES');
    const empty = alone.program(['--check', '--log-level', 'silent']);
    empty.start();
    assert.equal((await empty.ended()).code, 0, empty.output);
    assert.match(empty.output, /ok {3}target {7}elasticsearch 8\.19/);
    assert.match(empty.output, /stream {7}ES_CHANGES on .*: will be made/);
    assert.match(empty.output, /dead letters ES_DLQ: will be made/);
    for await (const stream of alone.link.manager.streams.list()) assert.fail(`--check has made ${stream.config.name}`);
    await alone.close();
    const index = fresh('checked');
    await rig.publishRaw(`es.acme.${index}.index`, encodeEnvelope(change(index, '1', 1)));
    const full = rig.program(['--check', '--rename', `${index}=checked-copy`]);
    full.start();
    assert.equal((await full.ended()).code, 0, full.output);
    assert.match(full.output, new RegExp(`index {8}${index} → checked-copy: will be made by the first write`));
    assert.match(full.output, /consumer {5}es-writer: /);
    assert.deepEqual(await rig.cluster.indices('checked-cop*'), []);
  });

  it('says with --check what the user may not do', async () => {
    const front = await Gate.before(rig.cluster.url);
    const index = fresh('forbidden');
    await rig.publish([change(index, '1', 1)]);
    const granted = { index: true, delete: true, create_index: false, view_index_metadata: true, manage: true };
    front.answer = (_method, path) =>
      path === '/_security/user/_has_privileges' ? { status: 200, body: { index: { [index]: granted } } } : undefined;
    const checked = rig.program(['--check'], front.url);
    checked.start();
    assert.equal((await checked.ended()).code, 1, checked.output);
    assert.match(checked.output, new RegExp(`FAIL may write {4}${index}: grant the index privileges create_index`));
    front.close();
  });

  it('says clearly what it cannot reach, and with which setting', async () => {
    const noTarget = rig.program([], 'http://127.0.0.1:1');
    noTarget.start();
    assert.equal((await noTarget.ended()).code, 1);
    assert.match(noTarget.output, /127\.0\.0\.1:1.*--es-hosts/s);
    const noNats = rig.program(['--nats-url', 'nats://user:secret@127.0.0.1:1']);
    noNats.start();
    assert.equal((await noNats.ended()).code, 1);
    assert.match(noNats.output, /127\.0\.0\.1:1.*--nats-url/s);
    assert.doesNotMatch(noNats.output, /secret/);
    const wrong = rig.program(['--batch-size', 'many']);
    wrong.start();
    assert.equal((await wrong.ended()).code, 2);
    assert.match(wrong.output, /--batch-size/);
  });
});
