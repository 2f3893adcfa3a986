import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createIndexDirectory, parseIndexPatterns, shardStats, type IndexFacts } from '../../src/elastic/index.ts';
import { onBothServers, type TestCluster } from '../support/elastic-clusters.ts';
import { until } from '../support/until.ts';

async function read({ client }: TestCluster, patterns: string): Promise<IndexFacts[]> {
  return createIndexDirectory(client, parseIndexPatterns(patterns)).read();
}

async function names(cluster: TestCluster, patterns: string): Promise<string[]> {
  return (await read(cluster, patterns)).map((index) => index.name);
}

onBothServers('discovery', (cluster) => {
  test('indices with their settings, by name and alias', async () => {
    const live = await cluster();
    const { call } = live;
    await live.drop('disco-*,.disco-*');
    await call('PUT', '/disco-plain.1', {
      settings: { number_of_shards: 3, number_of_replicas: 0 },
      aliases: { 'disco-alias': {} },
    });
    await call('PUT', '/disco-async', { settings: { translog: { durability: 'async' }, max_result_window: 77 } });
    await call('PUT', '/disco-bare', { mappings: { _source: { enabled: false } } });
    await call('PUT', '/disco-part', { mappings: { _source: { excludes: ['secret'] } } });
    await call('PUT', '/disco-hidden', { settings: { 'index.hidden': true }, aliases: { 'disco-of-hidden': {} } });
    await call('PUT', '/.disco-dot', { settings: { 'index.hidden': true } });
    await call('PUT', '/disco-shut', {});
    await call('POST', '/disco-shut/_close');

    assert.deepEqual(await names(live, 'disco-*'), [
      'disco-async',
      'disco-bare',
      'disco-hidden',
      'disco-part',
      'disco-plain.1',
      'disco-shut',
    ]);
    assert.deepEqual(await names(live, 'disco-alias,.disco-*,disco-hidden'), ['.disco-dot', 'disco-hidden', 'disco-plain.1']);
    assert.deepEqual(await names(live, 'disco-*,-disco-alias,-disco-of-*,-disco-p*'), [
      'disco-async',
      'disco-bare',
      'disco-shut',
    ]);

    const facts = new Map((await read(live, 'disco-*')).map((index) => [index.name, index]));
    const plain = facts.get('disco-plain.1')!;
    assert.match(plain.uuid, /^[\w-]{22}$/);
    assert.ok(Math.abs(plain.createdAt - Date.now()) < 3_600_000);
    assert.deepEqual(
      [plain.shards, plain.aliases, plain.closed, plain.dataStream, plain.mode],
      [3, ['disco-alias'], false, undefined, 'standard'],
    );
    assert.deepEqual(
      [plain.sequenceNumbers, plain.durability, plain.resultWindowMax, plain.hidden],
      [true, 'request', 10_000, false],
    );
    assert.deepEqual(
      [...facts.values()].map((index) => index.source),
      ['stored', 'disabled', 'stored', 'filtered', 'stored', 'stored'],
    );
    assert.deepEqual([facts.get('disco-async')?.durability, facts.get('disco-async')?.resultWindowMax], ['async', 77]);
    assert.equal(facts.get('disco-shut')?.closed, true);
    assert.equal(facts.get('disco-hidden')?.hidden, true);
  });

  test('an index made again is another one; one that is deleted is gone', async () => {
    const live = await cluster();
    const directory = createIndexDirectory(live.client, parseIndexPatterns('remade'));
    await live.drop('remade*');
    await live.call('PUT', '/remade', {});
    const [before] = await directory.read();
    await live.call('DELETE', '/remade');
    assert.deepEqual(await directory.read(), []);
    await live.call('PUT', '/remade', { mappings: { _source: { enabled: false } } });
    const [after] = await directory.read();
    assert.notEqual(after?.uuid, before?.uuid);
    assert.ok(after!.createdAt > before!.createdAt);
    assert.deepEqual([before?.source, after?.source], ['stored', 'disabled']);
  });

  test('a data stream means its backing indices, the next ones too', async () => {
    const live = await cluster();
    // Not every build can delete a data stream.
    const stream = `streamed-${Date.now()}`;
    const hiddenStream = `hid-${stream}`;
    for (const [name, hidden] of [
      [stream, false],
      [hiddenStream, true],
    ] as const) {
      await live.call('PUT', `/_index_template/${name}`, {
        index_patterns: [name],
        priority: 500,
        data_stream: hidden ? { hidden: true } : {},
        template: { settings: { number_of_replicas: 0 } },
      });
      await live.call('POST', `/${name}/_bulk`, '{"create":{}}\n{"@timestamp":"2025-11-21T00:00:00Z"}\n');
    }
    const first = await read(live, `${stream}*`);
    assert.equal(first.length, 1);
    assert.match(first[0]!.name, new RegExp(`^\\.ds-${stream}-.*000001$`));
    assert.equal(first[0]!.dataStream, stream);
    await live.call('POST', `/${stream}/_rollover`);
    assert.equal((await names(live, stream)).length, 2);
    assert.deepEqual(await names(live, `.ds-${stream}*,-${stream}`), []);
    assert.equal((await names(live, `.ds-${stream}*`)).length, 2);
    if (live.server.distribution === 'elasticsearch') {
      assert.deepEqual(await names(live, `${hiddenStream}*`), []);
      assert.equal((await names(live, hiddenStream)).length, 1);
    }
  });
});

onBothServers('shard stats', (cluster) => {
  test('every primary, where it is and how far', async () => {
    const live = await cluster();
    await live.drop('stats-*');
    await live.call('PUT', '/stats-a.b-1', { settings: { number_of_shards: 2, number_of_replicas: 1 } });
    await live.call('PUT', '/stats-shut', {});
    await live.call('POST', '/stats-shut/_close');
    const operations = 40;
    for (let i = 0; i < operations; i++) await live.call('PUT', `/stats-a.b-1/_doc/${i % 10}`, { i });
    const { indices, failed } = await shardStats(live.client, ['stats-a.b-1', 'stats-shut', 'stats-never']);
    assert.equal(failed, 0);
    assert.deepEqual([...indices.keys()], ['stats-a.b-1']);
    const { uuid, shards } = indices.get('stats-a.b-1')!;
    assert.match(uuid, /^[\w-]{22}$/);
    assert.deepEqual(new Set(shards.keys()), new Set([0, 1]));
    let done = 0;
    for (const shard of shards.values()) {
      assert.equal(shard.globalCheckpoint, shard.maxSeqNo);
      assert.equal(shard.localCheckpoint, shard.maxSeqNo);
      assert.match(shard.historyUuid, /^[\w-]{22}$/);
      assert.match(shard.node, /^[\w-]{22}$/);
      assert.equal(shard.state, 'STARTED');
      assert.equal(shard.refreshTotal, undefined);
      done += shard.globalCheckpoint + 1;
    }
    assert.equal(done, operations);
  });

  test('more names than an address holds cost one request all the same', async () => {
    const live = await cluster();
    await live.call('PUT', '/stats-one', {});
    const many = Array.from({ length: 1_000 }, (_, i) => `stats-none-${i}`);
    const { indices } = await shardStats(live.client, [...many, 'stats-one']);
    assert.deepEqual([...indices.keys()], ['stats-one']);
    assert.deepEqual(await shardStats(live.client, []), { indices: new Map(), failed: 0, failures: '' });
    assert.deepEqual((await shardStats(live.client, ['stats-none-1'])).indices, new Map());
  });

  test('refreshes are counted where it is asked for', async () => {
    const live = await cluster();
    await live.call('PUT', '/stats-refresh', { settings: { refresh_interval: '-1' } });
    const total = async () =>
      (await shardStats(live.client, ['stats-refresh'], { refreshes: true })).indices.get('stats-refresh')?.shards.get(0)
        ?.refreshTotal;
    const before = await until('a started shard', total, { withinMs: 10_000 });
    for (let i = 0; i < 2; i++) {
      await live.call('PUT', '/stats-refresh/_doc/1', { i });
      await live.call('POST', '/stats-refresh/_refresh');
    }
    assert.equal(await total(), before + 2);
  });
});
