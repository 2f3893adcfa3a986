import { setTimeout as sleep } from 'node:timers/promises';
import { bulk, createPlacesIndex } from '../scripts/demo/cluster.ts';
import { places, type Place } from '../scripts/demo/places.ts';
import { until } from '../scripts/demo/until.ts';
import type { WatcherStats } from '../scripts/demo/stack.ts';
import { identify, indexPath, refresh, searchPage, shardStats, type Server } from '../src/elastic/index.ts';
import type { Benchmark, Context, Goal, Measure, Result } from './benchmark.ts';
import { fetchAll } from './contenders.ts';
import { quantile, show } from './figures.ts';
import { chart, type Line } from './plot.ts';
import { endPair, loadPlaces, preparePair, versionsOf, type Engines } from './stack.ts';

const index = 'places';
const indexDocuments = 20_000;
const parts = [0.5, 0.9, 0.99];
/** Between two documents; by chance, so that they do not fall into step with the polls. */
const pauseMs = { least: 40, most: 160 };

type Way = { name: string; pollInterval?: string };
const ways: readonly Way[] = [
  { name: 'engines alone' },
  { name: 'sync, polling every 100 ms (default)', pollInterval: '100ms' },
  { name: 'sync, polling every 5 ms', pollInterval: '5ms' },
];

export const benchmark: Benchmark = {
  name: 'latency',
  title: 'Latency of a trickle',
  about:
    'One document at a time, at odd moments: the time from the source’s answer until the target returns the document. Beside it what the ' +
    'engines alone take in the same run, on an otherwise idle system: statistics, refresh, search and bulk of one new document, one after another. Either is watched in the same way, by asking the target every ms.',
  async run({ quick, say, engines: start }: Context): Promise<Result> {
    const [rounds, documents] = quick ? [1, 60] : [3, 150];
    const engines = await start();
    await loadPlaces(engines, index, indexDocuments);
    const server = await identify(engines.from);
    const samples = new Map<Way, number[]>(ways.map((way) => [way, []]));
    for (let round = 0; round <= rounds; round++) {
      for (const way of ways) {
        const name = `copy-${round}-${ways.indexOf(way)}`;
        await createPlacesIndex(engines.to, name);
        const taken =
          way.pollInterval === undefined
            ? await alone(engines, server, name, documents)
            : await synced(engines, name, documents, way.pollInterval);
        await engines.to.ok({ method: 'DELETE', path: indexPath(name) });
        say(`${round === 0 ? 'warming' : `round ${round}`}: ${way.name} ${show(quantile(taken, 0.5))} ms`);
        // round 0 warms the engines
        if (round > 0) samples.get(way)!.push(...taken);
      }
    }
    return { ...evaluate(samples), versions: versionsOf(engines) };
  },
};

let written = 0;
let supply: Iterator<Place> = places();

/** Writes one document at the source; resolves with its id and source at the moment of the answer. */
async function write({ from }: Engines): Promise<Place> {
  const next = supply.next();
  if (next.done === true) supply = places();
  const place = { id: `new-${written++}`, source: (next.value as Place).source };
  await from.ok({ method: 'PUT', path: indexPath(index, `_doc/${place.id}`), body: place.source });
  return place;
}

async function alone(engines: Engines, server: Server, to: string, documents: number): Promise<number[]> {
  const { from } = engines;
  const reader = { client: from, server };
  await fetchAll(engines, index, to);
  let before = (await shardStats(from, [index])).indices.get(index)!.shards;
  const taken: number[] = [];
  for (let n = 0; n < documents; n++) {
    const { id, source } = await write(engines);
    const startedAt = performance.now();
    const arrived = arrival(engines, to, id);
    const now = (await shardStats(from, [index])).indices.get(index)!.shards;
    await refresh(from, index);
    const moved = [...now].find(([shard, { globalCheckpoint }]) => globalCheckpoint > before.get(shard)!.globalCheckpoint)!;
    const [shard, { node, globalCheckpoint }] = moved;
    const range = { after: before.get(shard)!.globalCheckpoint, upTo: globalCheckpoint };
    const { hits } = await searchPage(reader, { index, shard, node }, { ...range, size: 1_000 });
    if (hits.length !== 1) throw new Error(`the search found ${hits.length} documents`);
    await bulk(engines.to, to, [`{"index":{"_id":"${id}"}}\n${source}\n`]);
    await arrived;
    taken.push(performance.now() - startedAt);
    before = now;
    await oddPause();
  }
  return taken;
}

async function synced(engines: Engines, to: string, documents: number, pollInterval: string): Promise<number[]> {
  const pair = await preparePair(engines, { from: index, to }, { watcherFlags: [`--poll-interval=${pollInterval}`] });
  await Promise.all([pair.watcher.start(), pair.writer.start()]);
  await until('the backfill', async () => (await pair.watcher.stats<WatcherStats>())?.lagOperations === 0);
  await arrival(engines, to, (await write(engines)).id);
  const taken: number[] = [];
  for (let n = 0; n < documents; n++) {
    await oddPause();
    const { id } = await write(engines);
    const startedAt = performance.now();
    await arrival(engines, to, id);
    taken.push(performance.now() - startedAt);
  }
  await endPair(pair);
  return taken;
}

async function arrival({ to }: Engines, name: string, id: string): Promise<void> {
  const path = indexPath(name, `_doc/${id}`);
  while ((await to.request({ method: 'HEAD', path })).status !== 200) await sleep(1);
}

async function oddPause(): Promise<void> {
  await sleep(pauseMs.least + Math.random() * (pauseMs.most - pauseMs.least));
}

function evaluate(samples: ReadonlyMap<Way, readonly number[]>): Pick<Result, 'measures' | 'goals' | 'plots'> {
  const [engines, , fast] = ways as [Way, Way, Way];
  const at = (way: Way, part: number) => quantile(samples.get(way)!, part);
  const measures = ways.flatMap((way) =>
    parts.map((part): Measure => ({ name: `${way.name}, p${part * 100}`, unit: 'ms', values: [at(way, part)] })),
  );
  const goal = (part: number, atMost: number): Goal => ({
    name: `latency p${part * 100} beside the engines’ own, polling every 5 ms`,
    value: at(fast, part) / at(engines, part),
    unit: '×',
    bound: { atMost },
    enforced: false,
  });
  const svg = chart(
    'From the source’s answer to the target',
    { label: 'ms', logarithmic: true, ticks: [10, 20, 50, 100, 200, 500], format: String },
    { label: 'part of the documents that have arrived', ticks: [0, 0.25, 0.5, 0.75, 1], format: (value) => `${value * 100} %` },
    ways.map((way): Line => ({ label: way.name, points: distribution(samples.get(way)!) })),
  );
  return { measures, goals: [goal(0.5, 1.1), goal(0.99, 1.3)], plots: [{ name: 'latency', svg }] };
}

function distribution(values: readonly number[]): [number, number][] {
  return values.toSorted((a, b) => a - b).map((value, n, all) => [value, (n + 1) / all.length]);
}
