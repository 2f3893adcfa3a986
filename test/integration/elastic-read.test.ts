import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  findIds,
  histogram,
  indexPath,
  refresh,
  searchPage,
  sequenceNumbersIn,
  type Hit,
  hitsOf,
  type SeqRange,
} from '../../src/elastic/index.ts';
import { onBothServers, type TestCluster } from '../support/elastic-clusters.ts';

const oddIds = [
  'a/b',
  '100%',
  'dot.star*',
  'quo"te\\',
  '🙂 ünï',
  'x'.repeat(512),
  ' spaces ',
  '_under',
  '-',
  'tab\t\u0001',
  '😀'.repeat(128),
];
const oddSource = '{"big": 12345678901234567890, "one":1.0,"e":1e3, "source":{"hits":[{"_id":"}"}]}, "s":"a\\u00e9\\n\\"" }';

/** Index names that need encoding; sharing nothing with other tests. */
const index = 'elastic-read+100%=größe';

/** 500 documents; every third is overwritten and every fifth deleted later. */
async function fill({ call, drop }: TestCluster): Promise<void> {
  await drop('elastic-read+*');
  await call('PUT', indexPath(index), { settings: { number_of_shards: 1, number_of_replicas: 0 }, mappings: { dynamic: false } });
  const lines: string[] = [];
  const write = (id: string, routing?: string) =>
    lines.push(JSON.stringify({ index: { _index: index, _id: id, ...(routing === undefined ? {} : { routing }) } }), oddSource);
  for (let i = 0; i < 500; i++) write(`id${i}`);
  for (let i = 0; i < 500; i += 3) write(`id${i}`);
  for (let i = 0; i < 500; i += 5) lines.push(JSON.stringify({ delete: { _index: index, _id: `id${i}` } }));
  for (const id of oddIds) write(id, `r"${id}`);
  await call('POST', '/_bulk', `${lines.join('\n')}\n`);
  await call('PUT', indexPath(index, '_doc/pretty'), '{\n\t"n": 1,\r\n "list": [\n1.0 ]\n}');
}

async function pages(cluster: TestCluster, range: SeqRange, size: number): Promise<Hit[]> {
  const copy = await cluster.copyOf(index);
  const hits: Hit[] = [];
  for (let after = range.after; ; after = hits.at(-1)!.seqNo) {
    const page = await searchPage(cluster, copy, { after, upTo: range.upTo, size });
    hits.push(...hitsOf(page));
    if (page.hits.length < size) return hits;
  }
}

onBothServers('reading one shard', (cluster) => {
  test('pages bring every live document once, with its bytes as they were', async () => {
    const live = await cluster();
    await fill(live);
    await refresh(live.client, index);
    const hits = await pages(live, { after: -1, upTo: 10_000 }, 64);
    const wanted = Array.from({ length: 500 }, (_, i) => i).filter((i) => i % 5 !== 0);
    const ids = [...wanted.map((i) => `id${i}`), ...oddIds, 'pretty'];
    assert.deepEqual(hits.map((hit) => hit.id).sort(compare), ids.sort(compare));
    for (const hit of hits) {
      const number = Number(/^id(\d+)$/.exec(hit.id)?.[1] ?? 1);
      assert.equal(hit.version, number % 3 === 0 ? 2 : 1, hit.id);
      assert.equal(hit.primaryTerm, 1);
      assert.equal(hit.routing, oddIds.includes(hit.id) ? `r"${hit.id}` : undefined);
      assert.equal(hit.source?.toString(), hit.id === 'pretty' ? '{ \t"n": 1,   "list": [ 1.0 ] }' : oddSource);
    }
    const seqNos = hits.map((hit) => hit.seqNo);
    assert.deepEqual(
      seqNos,
      [...seqNos].sort((a, b) => a - b),
    );
    assert.equal(
      (await pages(live, { after: 100, upTo: 105 }, 2)).at(-1)?.seqNo,
      seqNos.findLast((seqNo) => seqNo <= 105),
    );
  });

  test('a page that is too large says so, and a smaller one fits', async () => {
    const live = await cluster();
    const copy = await live.copyOf(index);
    const page = { after: -1, upTo: 10_000, responseBytesMax: 20_000 };
    await assert.rejects(searchPage(live, copy, { ...page, size: 500 }), { code: 'RESPONSE_TOO_LARGE', transient: false });
    assert.equal((await searchPage(live, copy, { ...page, size: 20 })).hits.length, 20);
  });

  test('the histogram, the list and the ids agree with the pages', async () => {
    const live = await cluster();
    const copy = await live.copyOf(index);
    const hits = await pages(live, { after: -1, upTo: 10_000 }, 1_000);
    const range = { after: 9, upTo: 500 };
    const inRange = hits.filter((hit) => hit.seqNo > range.after && hit.seqNo <= range.upTo).map((hit) => hit.seqNo);
    assert.deepEqual(await sequenceNumbersIn(live, copy, range), inRange);
    assert.deepEqual(await sequenceNumbersIn(live, copy, { after: 20_000, upTo: 30_000 }), []);

    const expected = new Map<number, number>();
    for (const seqNo of inRange) {
      const bucket = 10 + Math.floor((seqNo - 10) / 7) * 7;
      expected.set(bucket, (expected.get(bucket) ?? 0) + 1);
    }
    assert.deepEqual(await histogram(live, copy, { ranges: [range], origin: 10, interval: 7 }), expected);
    const parts = [
      { after: 9, upTo: 16 },
      { after: 23, upTo: 30 },
    ];
    const counted = await histogram(live, copy, { ranges: parts, origin: 10, interval: 7 });
    assert.deepEqual(
      [...counted],
      [10, 24].flatMap((key) => (expected.has(key) ? [[key, expected.get(key)]] : [])),
    );
    assert.deepEqual(await histogram(live, copy, { ranges: [], origin: 0, interval: 1 }), new Map());
    const many = Array.from({ length: 1_000 }, (_, i) => ({ after: i - 1, upTo: i }));
    assert.equal((await histogram(live, copy, { ranges: many, origin: 0, interval: 1 })).size, hits.length);

    const asked = [...oddIds, ...Array.from({ length: 1_500 }, (_, i) => `id${i}`)];
    const found = await findIds(live, copy, asked);
    const known = hits.filter((hit) => hit.id !== 'pretty').map((hit) => [hit.id, hit.seqNo] as const);
    assert.deepEqual(found, new Map(known));
    assert.deepEqual(await findIds(live, copy, []), new Map());
  });

  test('an index that never held a document', async () => {
    const live = await cluster();
    await live.call('PUT', '/elastic-read-empty', { settings: { number_of_shards: 2 } });
    await live.call('DELETE', '/elastic-read-empty/_doc/none');
    const copy = await live.copyOf('elastic-read-empty', 1);
    await refresh(live.client, 'elastic-read-empty');
    assert.equal((await searchPage(live, copy, { after: -1, upTo: 10, size: 10 })).hits.length, 0);
    assert.deepEqual(await sequenceNumbersIn(live, copy, { after: -1, upTo: 10 }), []);
    assert.deepEqual(await histogram(live, copy, { ranges: [{ after: -1, upTo: 9 }], origin: 0, interval: 1 }), new Map());
    assert.deepEqual(await findIds(live, copy, ['none']), new Map());
  });

  test('what is gone, closed or elsewhere is an error of its own', async () => {
    const live = await cluster();
    const copy = await live.copyOf(index);
    const page = { after: -1, upTo: 10, size: 10 };
    await assert.rejects(searchPage(live, { ...copy, index: 'elastic-read-gone' }, page), { code: 'ES_NOT_FOUND', status: 404 });
    await assert.rejects(refresh(live.client, 'elastic-read-gone'), { code: 'ES_NOT_FOUND' });
    if (live.server.distribution === 'elasticsearch') {
      await assert.rejects(searchPage(live, { ...copy, node: 'AAAAAAAAAAAAAAAAAAAAAA' }, page), {
        code: 'ES_SHARD_MOVED',
        transient: true,
      });
    }
    await assert.rejects(searchPage(live, { ...copy, shard: 7 }, page), (error: Error) => 'transient' in error);
    await live.drop('elastic-read-closed*');
    await live.call('PUT', '/elastic-read-closed', {});
    const closed = await live.copyOf('elastic-read-closed');
    await live.call('POST', '/elastic-read-closed/_close');
    await assert.rejects(searchPage(live, closed, page), { type: 'index_closed_exception', status: 400 });
  });
});

function compare(a: string, b: string): number {
  return a < b ? -1 : 1;
}
