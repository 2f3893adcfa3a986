import assert from 'node:assert/strict';
import { it } from 'node:test';
import { array, assert as check, asyncProperty, constant, constantFrom, integer, record } from 'fast-check';
import type { ElasticClient, Reader } from '../../src/elastic/index.ts';
import { Checkpoint } from '../../src/es-watcher/checkpoint.ts';
import { findDifferences } from '../../src/es-watcher/missing.ts';

type Body = {
  query: { bool: { filter: { bool: { should: { range: { _seq_no: { gt: number; lte: number } } }[] } } } };
  aggs: { seq_no: { histogram: { interval: number } } };
};

/** A cluster that holds documents at these sequence numbers and counts what it is asked. */
function clusterWith(live: readonly number[]): { reader: Reader; asked: { queries: number; bucketsMost: number } } {
  const asked = { queries: 0, bucketsMost: 0 };
  const answer = (body: Body): unknown => {
    const { interval } = body.aggs.seq_no.histogram;
    const ranges = body.query.bool.filter.bool.should.map(({ range }) => range._seq_no);
    const counts = new Map<number, number>();
    for (const seqNo of live) {
      if (!ranges.some(({ gt, lte }) => seqNo > gt && seqNo <= lte)) continue;
      const key = Math.floor(seqNo / interval) * interval;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    asked.queries++;
    asked.bucketsMost = Math.max(asked.bucketsMost, counts.size);
    const buckets = [...counts].map(([key, count]) => ({ key, doc_count: count }));
    return {
      timed_out: false,
      _shards: { total: 1, successful: 1, skipped: 0, failed: 0 },
      aggregations: { seq_no: { buckets } },
    };
  };
  const client = {
    ok: async (request: { body: string }) => ({
      status: 200,
      body: Buffer.from(JSON.stringify(answer(JSON.parse(request.body) as Body))),
    }),
  } as unknown as ElasticClient;
  const server: Reader['server'] = {
    distribution: 'elasticsearch',
    version: { major: 8, minor: 19, text: '8.19.0' },
    clusterUuid: 'u',
    clusterName: 'c',
    warning: undefined,
  };
  return { reader: { client, server }, asked };
}

async function differences(own: readonly number[], live: readonly number[], upTo: number) {
  const checkpoint = new Checkpoint(':memory:');
  try {
    const rows = [...own].sort((a, b) => a - b).map((seqNo) => ({ seqNo, id: String(seqNo), routing: undefined }));
    checkpoint.transaction(true, () => checkpoint.rows.append(1, rows));
    const { reader, asked } = clusterWith(live);
    const copy = { index: 'i', shard: 0, node: 'n' };
    const found = { missing: [] as number[], unknown: [] as number[] };
    const { signal } = new AbortController();
    for await (const part of findDifferences({ reader, copy, rows: checkpoint.rows, shardKey: 1, upTo, signal })) {
      found.missing.push(...part.missing);
      found.unknown.push(...part.unknown);
    }
    found.missing.sort((a, b) => a - b);
    found.unknown.sort((a, b) => a - b);
    return { ...found, asked };
  } finally {
    checkpoint.close();
  }
}

const without = (from: readonly number[], what: readonly number[]): number[] => {
  const others = new Set(what);
  return [...new Set(from)].filter((seqNo) => !others.has(seqNo)).sort((a, b) => a - b);
};

/** Small shards, shards of many blocks, and shards so large that blocks are counted together. */
const shards = constantFrom(10, 5_000, 60_000, 30_000_000).chain((upTo) => {
  const seqNos = array(integer({ min: 0, max: upTo }), { maxLength: 400 });
  return record({ upTo: constant(upTo), both: seqNos, one: seqNos });
});
const runs = { numRuns: 100 };

it('finds exactly what the list has and the cluster no longer holds', async () => {
  await check(
    asyncProperty(shards, async ({ upTo, both, one }) => {
      const found = await differences([...new Set([...both, ...one])], [...new Set(both)], upTo);
      assert.deepEqual(found.missing, without(one, both));
      assert.deepEqual(found.unknown, []);
    }),
    runs,
  );
});

it('finds what the cluster holds and the list does not know', async () => {
  await check(
    asyncProperty(shards, async ({ upTo, both, one }) => {
      const found = await differences([...new Set(both)], [...new Set([...both, ...one])], upTo);
      assert.deepEqual(found.missing, []);
      assert.deepEqual(found.unknown, without(one, both));
    }),
    runs,
  );
});

it('asks little of a large shard in which little has changed', async () => {
  const own = Array.from({ length: 20_000 }, (_, n) => n * 500);
  const { missing, asked } = await differences(own, own.slice(0, -10), 10_000_000);
  assert.equal(missing.length, 10);
  assert.ok(asked.queries <= 6, `${asked.queries} queries`);
  assert.ok(asked.bucketsMost <= 10_000, `${asked.bucketsMost} buckets`);
});
