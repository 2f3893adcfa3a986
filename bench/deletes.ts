import { bulk } from '../scripts/demo/cluster.ts';
import { places } from '../scripts/demo/places.ts';
import type { WatcherStats } from '../scripts/demo/stack.ts';
import { until } from '../scripts/demo/until.ts';
import { indexPath } from '../src/elastic/index.ts';
import { connectNats } from '../src/jetstream/index.ts';
import { openFrame } from '../src/core/frame.ts';
import type { Benchmark, Context, Measure, Result } from './benchmark.ts';
import { median, show } from './figures.ts';
import { costOf } from './process-cost.ts';
import { endPair, loadPlaces, preparePair, versionsOf, type Engines } from './stack.ts';

const deletesAtOnce = 10;
/** How much longer it may take where the index is a hundred times larger. */
const growthMax = 3;

type Found = { foundMs: number; cpuMs: number };

export const benchmark: Benchmark = {
  name: 'deletes',
  title: 'Ten deletes in a large index',
  about:
    'Ten documents are deleted by one request: the time from the source’s answer until the last of the ten deletes has been published, and ' +
    'the watcher’s CPU time meanwhile. The cost is to go with the number of changes and not with the size of the index.',
  async run({ quick, say, engines: start }: Context): Promise<Result> {
    const engines = await start();
    const sizes = quick ? [2_000, 200_000] : [20_000, 2_000_000];
    const measures: Measure[] = [];
    const medians: number[] = [];
    for (const size of sizes) {
      const found = await detect(engines, size, quick ? 5 : 20);
      const label = `${size.toLocaleString('en-US')} documents`;
      const times = found.map(({ foundMs }) => foundMs);
      say(`${label}: ${show(median(times))} ms`);
      medians.push(median(times));
      measures.push(
        { name: `ten deletes published, of ${label}`, unit: 'ms', values: times },
        { name: `CPU of the watcher, of ${label}`, unit: 'ms', values: found.map(({ cpuMs }) => cpuMs) },
      );
    }
    const goal = {
      name: 'ten deletes in a hundred times larger index',
      value: medians[1]! / medians[0]!,
      unit: '×',
      bound: { atMost: growthMax },
      enforced: true,
    };
    return { measures, goals: [goal], versions: versionsOf(engines) };
  },
};

async function detect(engines: Engines, documents: number, rounds: number): Promise<Found[]> {
  const index = `places-${documents}`;
  await loadPlaces(engines, index, documents);
  const pair = await preparePair(engines, { from: index, to: index });
  const link = await connectNats({ urls: [pair.nats.url], name: 'bench' });
  let seen = 0;
  // what is published to the stream reaches ordinary subscribers too
  link.connection.subscribe('es.*.*.delete', {
    callback: (_error, { subject, data, headers }) => {
      const names = new Map(headers?.keys().map((name) => [name, headers.get(name)] as const));
      const message = { subject, headers: names, payload: data, sequence: 1, timestamp: 0, deliveries: 1 };
      void openFrame(message).then((events) => (seen += events.length));
    },
  });
  await pair.watcher.start();
  const stats = () => pair.watcher.stats<WatcherStats>();
  await until('the backfill', async () => (await stats())?.lagOperations === 0, { withinMs: 900_000 });
  const ids = [...places(documents)].map(({ id }) => id);
  const step = Math.floor(documents / (rounds * deletesAtOnce));
  const found: Found[] = [];
  for (let round = 0; round < rounds; round++) {
    const lines = Array.from(
      { length: deletesAtOnce },
      (_, n) => `{"delete":{"_id":"${ids[(round * deletesAtOnce + n) * step]}"}}\n`,
    );
    const wanted = seen + deletesAtOnce;
    const before = costOf(pair.watcher.pid).cpuMs;
    await bulk(engines.from, index, lines);
    const startedAt = performance.now();
    await until('the deletes', () => seen >= wanted, { everyMs: 1 });
    found.push({ foundMs: performance.now() - startedAt, cpuMs: costOf(pair.watcher.pid).cpuMs - before });
  }
  await link.close();
  await endPair(pair);
  await engines.from.ok({ method: 'DELETE', path: indexPath(index) });
  return found;
}
