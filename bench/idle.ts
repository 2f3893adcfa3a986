import { setTimeout as sleep } from 'node:timers/promises';
import { indexPath } from '../src/elastic/index.ts';
import { connectCluster } from '../scripts/demo/cluster.ts';
import type { Benchmark, Context, Measure, Result } from './benchmark.ts';
import { show } from './figures.ts';
import { costOf } from './process-cost.ts';
import { endPair, preparePair, versionsOf, type Engines } from './stack.ts';

const settings = JSON.stringify({ settings: { number_of_shards: 1, number_of_replicas: 0 } });
const createdAtOnce = 4;

export const benchmark: Benchmark = {
  name: 'idle',
  title: 'Polling of idle indices',
  about:
    'The watcher follows indices in which nothing happens, at its default interval of 100 ms between polls. An idle shard costs its part of ' +
    'one answer, and no search or refresh.',
  async run({ quick, say, engines: start }: Context): Promise<Result> {
    const engines = await start();
    const measures: Measure[] = [];
    let there = 0;
    for (const indices of quick ? [1, 100] : [1, 100, 1_000]) {
      await create(engines, there, indices);
      there = indices;
      const { pollsPerSecond, pollMs, watcherShare, sourceShare } = await follow(engines, quick ? 5_000 : 15_000);
      const label = indices === 1 ? '1 index' : `${indices.toLocaleString('en-US')} indices`;
      say(`${label}: ${show(pollMs)} ms a poll, ${show(watcherShare)} % of a core`);
      measures.push(
        { name: `${label}: time of a poll`, unit: 'ms', values: [pollMs] },
        { name: `${label}: polls`, unit: 'a second', values: [pollsPerSecond] },
        { name: `${label}: CPU of the watcher`, unit: '% of a core', values: [watcherShare] },
        { name: `${label}: CPU of the source`, unit: '% of a core', values: [sourceShare] },
      );
    }
    return { measures, goals: [], versions: versionsOf(engines) };
  },
};

async function create({ from, source }: Engines, there: number, wanted: number): Promise<void> {
  // a thousand shards are the limit of a node by default
  const body = JSON.stringify({ persistent: { 'cluster.max_shards_per_node': 3_000 } });
  await from.ok({ method: 'PUT', path: '/_cluster/settings', body });
  const client = connectCluster(source.url);
  let next = there;
  const work = async (): Promise<void> => {
    while (next < wanted) {
      const name = `idle-${next++}`;
      await client.ok({ method: 'PUT', path: indexPath(name), body: settings });
      await client.ok({ method: 'PUT', path: indexPath(name, '_doc/1'), body: '{"idle":true}' });
    }
  };
  await Promise.all(Array.from({ length: createdAtOnce }, work));
  await client.close();
}

type Polling = { pollsPerSecond: number; pollMs: number; watcherShare: number; sourceShare: number };

async function follow(engines: Engines, forMs: number): Promise<Polling> {
  const { watcher, ...rest } = await preparePair(engines, { from: 'idle-*', to: 'idle-$1' });
  await watcher.start();
  // what is there is read first; then nothing happens any more
  await sleep(Math.max(3_000, forMs / 3));
  const before = await look(engines, watcher.pid, watcher.address);
  await sleep(forMs);
  const after = await look(engines, watcher.pid, watcher.address);
  await endPair({ watcher, ...rest });
  const polls = after.polls - before.polls;
  const elapsedMs = after.at - before.at;
  return {
    pollsPerSecond: (polls / elapsedMs) * 1_000,
    pollMs: ((after.pollSeconds - before.pollSeconds) / polls) * 1_000,
    watcherShare: ((after.watcherMs - before.watcherMs) / elapsedMs) * 100,
    sourceShare: ((after.sourceMs - before.sourceMs) / elapsedMs) * 100,
  };
}

async function look({ source }: Engines, pid: number, address: string) {
  const metrics = await (await fetch(`http://${address}/metrics`)).text();
  const metric = (name: string) =>
    Number(new RegExp(`^es_watcher_poll_duration_seconds_${name} (\\S+)$`, 'm').exec(metrics)?.[1]);
  return {
    at: performance.now(),
    polls: metric('count'),
    pollSeconds: metric('sum'),
    watcherMs: costOf(pid).cpuMs,
    sourceMs: costOf(source.pid).cpuMs,
  };
}
