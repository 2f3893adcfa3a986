import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { temporaryDirectory, type Server } from '../../scripts/servers.ts';
import { Cluster } from '../support/cluster.ts';
import { IndexLife } from '../support/index-life.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig, type RigOptions } from '../support/rig.ts';
import { freshNats, freshOpenSearch, sharedElasticsearch } from '../support/servers.ts';
import { until } from '../support/until.ts';

const seed = seedOfRun('index-life');
const withinMs = 60_000;
let source: Server;
let targetUrl: string;
let snapshots: string;
let number = 0;

before(async () => {
  snapshots = join(temporaryDirectory('snapshots'), 'repository');
  mkdirSync(snapshots);
  // A server of its own: the shared ones know no snapshot repository.
  source = await freshOpenSearch('2.19', { extraYml: `path.repo: [${JSON.stringify(snapshots)}]` });
  targetUrl = (await sharedElasticsearch('8.19')).url;
  // A mapping is not carried over: both sides take any document as it is.
  for (const url of [source.url, targetUrl]) {
    const cluster = new Cluster(url);
    await cluster.json('PUT', '/_index_template/life', {
      index_patterns: ['life*'],
      priority: 800,
      template: { mappings: { dynamic: false } },
    });
    await cluster.close();
  }
});

after(async () => {
  await source.stop();
  const target = new Cluster(targetUrl);
  await target.json('DELETE', '/_index_template/life');
  await target.close();
});

type Stage = { rig: Rig; life: IndexLife; name: (suffix: string) => string };

/** A rig of its own indices, not started. */
async function stage(t: TestContext, options: Partial<RigOptions> = {}): Promise<Stage> {
  const random = new Random(`${seed}/${number}`);
  const prefix = `life${seed}${number++}`;
  const nats = await freshNats();
  const rig = new Rig({ random, prefix, source: source.url, target: targetUrl, nats: nats.url, ...options });
  t.after(async () => {
    await rig.stop();
    await rig.source.send('DELETE', `/_data_stream/${prefix}*`);
    for (const cluster of [rig.source, rig.target]) {
      for (const { index } of await cluster.indices(`*${prefix}*`)) await cluster.json('DELETE', `/${index}`);
    }
    await Promise.all([rig.close(), nats.stop()]);
  });
  return { rig, life: new IndexLife(rig.source, random), name: (suffix) => `${prefix}-${suffix}` };
}

/** The same deeds while the watcher runs and while it is down. */
for (const down of [false, true]) {
  const when = down ? 'while the watcher is down' : 'while the watcher runs';

  test(`indices are new, recreated, closed and reopened, restored, rolled over ${when}`, async (t) => {
    const { rig, life, name } = await stage(t);
    const repository = name('repository');
    await life.repository(repository, join(snapshots, repository));
    for (const suffix of ['kept', 'recreated', 'restored', 'closed', 'emptied']) {
      await life.create(name(suffix));
      await life.write(name(suffix), 0, 40, suffix !== 'recreated');
    }
    await life.delete(name('recreated'), 0, 3);
    await rig.source.json('PUT', `/${name('log-000001')}`, { aliases: { [name('log')]: { is_write_index: true } } });
    await life.write(name('log'), 0, 10);
    await life.snapshot(repository, 'early', name('restored'));
    await rig.start();
    await rig.untilExact({ withinMs });
    await life.write(name('restored'), 30, 60);
    await life.delete(name('restored'), 1, 1);
    await rig.untilExact({ withinMs });

    if (down) assert.equal((await rig.watcher.stop()).code, 0);
    await life.create(name('new'), 1);
    await life.write(name('new'), 0, 20);
    await life.recreate(name('recreated'));
    await life.drop(name('emptied'));
    await life.create(name('emptied'));
    await life.restore(repository, 'early', name('restored'));
    await life.write(name('restored'), 55, 58);
    await life.close(name('closed'));
    await life.rollover(name('log'));
    await life.write(name('log'), 5, 15);
    if (down) await rig.watcher.startReady();
    await rig.untilExact({ withinMs, kept: [name('closed')] });

    await life.open(name('closed'));
    await life.write(name('closed'), 38, 50);
    await life.recreate(name('recreated'), 1);
    await life.delete(name('new'), 0, 5);
    const comparison = await rig.untilExact({ withinMs });
    assert.equal(await rig.target.count(name('emptied')), 0);
    t.diagnostic(`${comparison.documents} documents of ${comparison.indices.length} indices equal`);
    rig.assertQuiet();
  });

  test(`an index deleted ${when} stays at the target, and its successor takes its place`, async (t) => {
    const { rig, life, name } = await stage(t);
    for (const suffix of ['gone', 'again']) {
      await life.create(name(suffix));
      await life.write(name(suffix), 0, 25);
    }
    await rig.start();
    await rig.untilExact({ withinMs });
    if (down) await rig.watcher.stop();
    await life.drop(name('gone'));
    await life.drop(name('again'));
    if (down) await rig.watcher.startReady();
    else
      await until('the watcher to have noticed', async () => (await rig.watcher.metric('followed_indices')) === 0, { withinMs });
    await life.create(name('again'), 1);
    await life.write(name('again'), 20, 30);
    await rig.untilExact({ withinMs, kept: [name('gone')] });
    assert.equal(await rig.target.count(name('gone')), 26);
    rig.assertQuiet();
  });

  test(`with --propagate-index-deletes an index deleted ${when} goes at the target too, and comes back when it is created again`, async (t) => {
    const { rig, life, name } = await stage(t, { watcherFlags: ['--propagate-index-deletes'] });
    for (const suffix of ['gone', 'again', 'kept']) {
      await life.create(name(suffix));
      await life.write(name(suffix), 0, 25);
    }
    await rig.start();
    await rig.untilExact({ withinMs });
    if (down) await rig.watcher.stop();
    await life.drop(name('gone'));
    await life.drop(name('again'));
    await life.create(name('again'), 3);
    await life.write(name('again'), 20, 30);
    if (down) await rig.watcher.startReady();
    await until(
      'the target to be rid of it',
      async () => !(await namesOf(rig.target, `${rig.prefix}-*`)).includes(name('gone')),
      { withinMs },
    );
    await rig.untilExact({ withinMs });
    await life.create(name('gone'));
    await life.write(name('gone'), 3, 9);
    await rig.untilExact({ withinMs });
    assert.deepEqual(await namesOf(rig.target, `${rig.prefix}-*`), await namesOf(rig.source, `${rig.prefix}-*`));
    rig.assertQuiet();
  });
}

test('patterns: aliases, exclusions, a data stream and its rollover; hidden indices only when named', async (t) => {
  const prefix = `life${seed}${number}`;
  const patterns = [
    `${prefix}-a*`,
    `-${prefix}-a-not*`,
    `${prefix}-alias`,
    `${prefix}-events`,
    `${prefix}-hidden-named`,
    `${prefix}-h*`,
  ].join(',');
  const { rig, life, name } = await stage(t, { patterns });
  const followed = ['a-one', 'a-two', 'behind-alias', 'hidden-named', 'h-plain'];
  const left = ['a-not', 'a-not-this', 'b', 'hidden-other'];
  for (const suffix of [...followed, ...left]) {
    await life.create(name(suffix), 1, suffix.startsWith('hidden') ? { 'index.hidden': true } : {});
    await life.write(name(suffix), 0, 5);
  }
  await rig.source.json('POST', '/_aliases', { actions: [{ add: { index: name('behind-alias'), alias: name('alias') } }] });
  await rig.source.json('PUT', `/_index_template/${name('events')}`, {
    index_patterns: [name('events')],
    priority: 900,
    data_stream: {},
    template: { mappings: { dynamic: false } },
  });
  await append(rig.source, name('events'));
  await rig.start();
  await life.rollover(name('events'));
  await append(rig.source, name('events'));
  // An alias that is put on an index, and an index that comes to match, while the watcher runs.
  await rig.source.json('POST', '/_aliases', { actions: [{ add: { index: name('b'), alias: name('alias') } }] });
  await life.create(name('a-three'), 2);
  await life.write(name('a-three'), 0, 5);
  const wanted = [...followed, 'a-three', 'b'].map(name).sort();
  const here = `${prefix}-*`;
  await until('the named indices', async () => (await namesOf(rig.target, here)).length >= wanted.length, { withinMs });
  await rig.untilExact({ withinMs, kept: left.filter((suffix) => suffix !== 'b').map(name) });
  assert.deepEqual(await namesOf(rig.target, here), wanted);
  const backing = await namesOf(rig.source, `.ds-${name('events')}-*`);
  assert.equal(backing.length, 2);
  assert.deepEqual(await namesOf(rig.target, `.ds-${name('events')}-*`), backing);
  rig.assertQuiet();
});

async function append(cluster: Cluster, stream: string): Promise<void> {
  const line = `{"create":{"_index":"${stream}"}}\n{"@timestamp":"2026-01-01T00:00:00Z","group":"g1"}\n`;
  await cluster.json('POST', '/_bulk', line.repeat(5));
}

async function namesOf(cluster: Cluster, pattern: string): Promise<string[]> {
  return (await cluster.indices(pattern)).map((one) => one.index);
}
