import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { ChangeEvent } from '../../src/core/event.ts';
import { BulkWriter, createClient, GcDeletes, indexPath, type GcDeletesFact } from '../../src/elastic/index.ts';
import { onBothServers, type TestCluster } from '../support/elastic-clusters.ts';
import { writeEvents } from '../support/write-events.ts';

const source = '{"big":9007199254740993,"one":1.0, "list":[1e3]}';

function change(index: string, id: string, version: number, facts: Partial<ChangeEvent> = {}): ChangeEvent {
  const fixed = { tenant: 't', op: 'index', seqNo: 1, primaryTerm: 1, ts: 0 } as const;
  return { ...fixed, index, id, version, source: Buffer.from(source), ...facts };
}
function removal(index: string, id: string, version: number): ChangeEvent {
  const { source: _source, ...rest } = change(index, id, version, { op: 'delete' });
  return rest;
}

/** Stored documents of an index by id, as the server returns their text. */
async function documents({ client, call }: TestCluster, index: string, ids: readonly string[]): Promise<(string | undefined)[]> {
  await call('POST', indexPath(index, '_refresh'));
  const texts: (string | undefined)[] = [];
  for (const id of ids) {
    const answer = await client.request({ method: 'GET', path: indexPath(index, `_source/${encodeURIComponent(id)}`) });
    texts.push(answer.status === 200 ? answer.body.toString() : undefined);
  }
  return texts;
}

onBothServers('bulk writing', (cluster) => {
  test('every kind of outcome', async () => {
    const live = await cluster();
    await live.drop('bulk-kinds*');
    await live.call('PUT', '/bulk-kinds', {
      settings: { number_of_replicas: 0 },
      mappings: { properties: { n: { type: 'long' } } },
    });
    const writer = new BulkWriter({ client: live.client });
    const ids = ['a/b', '100%', 'quo"te\\', '🙂', 'x'.repeat(512), ' '];
    assert.ok(
      (
        await writeEvents(
          writer,
          ids.map((id) => change('bulk-kinds', id, 10)),
        )
      ).every((outcome) => outcome.is === 'stored'),
    );
    assert.deepEqual(
      await documents(live, 'bulk-kinds', ids),
      ids.map(() => source),
    );

    const written = await writeEvents(writer, [
      change('bulk-kinds', '🙂', 10),
      change('bulk-kinds', '🙂', 9),
      removal('bulk-kinds', 'a/b', 9),
      removal('bulk-kinds', 'a/b', 11),
      change('bulk-kinds', 'a/b', 10),
      removal('bulk-kinds', 'never', 12),
      change('bulk-kinds', 'never', 11),
      change('bulk-kinds', 'bad', 1, { source: Buffer.from('{"n":"no number"}') }),
      change('bulk-kinds', 'broken', 1, { source: Buffer.from('{"n":\n') }),
      change('bulk-kinds', 'lines', 1, { source: Buffer.from('{\n"n":\n1}') }),
      change('Upper', 'x', 1),
    ]);
    const is = written.map((outcome) => outcome.is);
    assert.deepEqual(is.slice(0, 7), ['stale', 'stale', 'stale', 'stored', 'stale', 'stored', 'stale']);
    assert.deepEqual(is.slice(7), ['refused', 'refused', 'stored', 'refused']);
    const refusals = written.flatMap((outcome) => (outcome.is === 'refused' ? [outcome.refusal] : []));
    assert.deepEqual(
      refusals.map(({ status }) => status),
      [400, 400, 400],
    );
    assert.match(refusals[0]!.type, /^(mapper|document)_parsing_exception$/);
    assert.match(refusals[0]!.reason, /failed to parse field \[n\].*For input string: "no number"/);
    assert.equal(refusals[2]!.type, 'invalid_index_name_exception');
    assert.deepEqual(await documents(live, 'bulk-kinds', ['a/b', 'never', 'lines']), [undefined, undefined, '{ "n": 1}']);
  });

  test('one id that is too long does not hold up the others', async () => {
    const live = await cluster();
    await live.drop('bulk-long*');
    const events = Array.from({ length: 50 }, (_, i) => change('bulk-long', i === 17 ? 'y'.repeat(513) : `${i}`, 1));
    const requests: number[] = [];
    const writer = new BulkWriter({ client: live.client, onBulk: (bulk) => requests.push(bulk.status) });
    const written = await writeEvents(writer, events);
    assert.deepEqual(
      written.flatMap((outcome, i) => (outcome.is === 'stored' ? [] : [i])),
      [17],
    );
    assert.match(JSON.stringify(written[17]), /"is":"refused".*too long/);
    assert.ok(requests.filter((status) => status === 400).length <= 7);
  });

  test('a write block is busy, not lost', async () => {
    const live = await cluster();
    await live.drop('bulk-block*');
    await live.call('PUT', '/bulk-block', {});
    const writer = new BulkWriter({ client: live.client });
    for (const block of ['read_only_allow_delete', 'write', 'read_only']) {
      await live.call('PUT', '/bulk-block/_settings', { index: { blocks: { [block]: true } } });
      const [blocked] = await writeEvents(writer, [change('bulk-block', block, 1)]);
      assert.equal(blocked?.is, 'busy', `${block}: ${JSON.stringify(blocked)}`);
      await live.call('PUT', '/bulk-block/_settings', { index: { blocks: { [block]: null } } });
      assert.deepEqual(await writeEvents(writer, [change('bulk-block', block, 1)]), [{ is: 'stored' }]);
    }
  });

  test('routing and the rename of indices', async () => {
    const live = await cluster();
    await live.drop('copy-of-bulk-routed*');
    await live.call('PUT', '/copy-of-bulk-routed', { settings: { number_of_shards: 4, number_of_replicas: 0 } });
    const writer = new BulkWriter({ client: live.client, indexOf: (index) => `copy-of-${index}` });
    await writeEvents(
      writer,
      ['r"1', 'r 2', 'ü'].map((routing) => change('bulk-routed', routing, 5, { routing })),
    );
    await live.call('POST', '/copy-of-bulk-routed/_refresh');
    const { hits } = (await live.call('GET', '/copy-of-bulk-routed/_search')) as {
      hits: { hits: { _id: string; _routing: string }[] };
    };
    const routings = new Map(hits.hits.map((hit) => [hit._id, hit._routing]));
    assert.deepEqual(routings, new Map(['r 2', 'r"1', 'ü'].map((routing) => [routing, routing])));
  });

  test('a large write goes in several requests, each within its bytes', async () => {
    const live = await cluster();
    const sizes: number[] = [];
    const writer = new BulkWriter({ client: live.client, bodyBytesMax: 20_000, onBulk: (bulk) => sizes.push(bulk.bytes) });
    const events = Array.from({ length: 1_000 }, (_, i) => change('bulk-large', `${i}`, 1));
    assert.ok((await writeEvents(writer, events)).every((outcome) => outcome.is !== 'busy' && outcome.is !== 'refused'));
    assert.ok(sizes.length > 5 && Math.max(...sizes) <= 20_000);
  });

  test('index.gc_deletes is raised before and after', async () => {
    const live = await cluster();
    await live.drop('bulk-gc*');
    await live.call('PUT', '/bulk-gc', { aliases: { 'bulk-gc-alias': {} } });
    const facts: GcDeletesFact[] = [];
    const gcDeletes = new GcDeletes({ client: live.client, wantedMs: 3_600_000, onFact: (fact) => facts.push(fact) });
    const writer = new BulkWriter({ client: live.client, gcDeletes });
    for (const [i, index] of ['bulk-gc-alias', 'bulk-gc-auto', 'bulk-gc'].entries()) {
      assert.deepEqual(await writeEvents(writer, [removal(index, 'a', i + 1)]), [{ is: 'stored' }]);
      const answer = (await live.call('GET', `/${index}/_settings?flat_settings=true`)) as Record<
        string,
        { settings: Record<string, string> }
      >;
      assert.equal(Object.values(answer)[0]?.settings['index.gc_deletes'], '3600000ms', index);
    }
    assert.deepEqual(
      facts.map(({ index, state, fromMs }) => [index, state, fromMs]),
      [
        ['bulk-gc-alias', 'raised', 60_000],
        ['bulk-gc-auto', 'raised', 60_000],
        ['bulk-gc', 'enough', 3_600_000],
      ],
    );
  });

  test('a dead host among live ones loses nothing', async () => {
    const live = await cluster();
    const empty = createServer();
    await new Promise<void>((resolve) => empty.listen(0, '127.0.0.1', resolve));
    const dead = `http://127.0.0.1:${(empty.address() as AddressInfo).port}`;
    await new Promise((resolve) => empty.close(resolve));
    const skipped: string[] = [];
    const client = createClient({ hosts: [dead, live.url], onHostSkipped: (host) => skipped.push(host) });
    const writer = new BulkWriter({ client });
    for (let i = 0; i < 5; i++) {
      assert.deepEqual(await writeEvents(writer, [change('bulk-failover', `${i}`, Date.now())]), [{ is: 'stored' }]);
    }
    // Once, or again after its pause where the writes take longer than that.
    assert.deepEqual([...new Set(skipped)], [dead]);
    await client.close();

    const alone = createClient({ hosts: [dead] });
    assert.deepEqual(
      (await writeEvents(new BulkWriter({ client: alone }), [change('bulk-failover', 'z', 1)])).map(({ is }) => is),
      ['busy'],
    );
    await alone.close();
  });
});
