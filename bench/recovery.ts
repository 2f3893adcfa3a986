import { setTimeout as sleep } from 'node:timers/promises';
import { createPlacesIndex } from '../scripts/demo/cluster.ts';
import { places } from '../scripts/demo/places.ts';
import type { WriterStats } from '../scripts/demo/stack.ts';
import { Probe, Traffic } from '../scripts/demo/traffic.ts';
import { until } from '../scripts/demo/until.ts';
import type { Benchmark, Context, Measure, Result } from './benchmark.ts';
import { median, show } from './figures.ts';
import { endPair, loadPlaces, preparePair, versionsOf, type Engines, type Pair } from './stack.ts';

const index = 'places';
const documents = 50_000;
const changesPerSecond = 300;

export const benchmark: Benchmark = {
  name: 'recovery',
  title: 'Recovery after a SIGKILL',
  about:
    'While 300 changes a second are made to 50,000 documents, a program is killed and started again at once: the time from the kill until ' +
    'a change made after it has arrived at the target. Behind it stand 50,000 documents that need not be read again.',
  async run({ quick, say, engines: start }: Context): Promise<Result> {
    const engines = await start();
    await loadPlaces(engines, index, documents);
    await createPlacesIndex(engines.to, index);
    const pair = await preparePair(engines, { from: index, to: index });
    await Promise.all([pair.watcher.start(), pair.writer.start()]);
    const stored = async () => ((await pair.writer.stats<WriterStats>())?.documents.stored ?? 0) >= documents;
    await until('the backfill', stored, { withinMs: 300_000 });
    const measures = await underTraffic(engines, pair, quick ? 2 : 6, say);
    await endPair(pair);
    return { measures, goals: [], versions: versionsOf(engines) };
  },
};

async function underTraffic(engines: Engines, pair: Pair, rounds: number, say: (text: string) => void): Promise<Measure[]> {
  const ended = new AbortController();
  const traffic = new Traffic(engines.from, index, places(documents)).run(changesPerSecond, ended.signal);
  const probe = new Probe(engines.from, engines.to, index);
  const measures: Measure[] = [];
  for (const [name, program] of [
    ['es-watcher', pair.watcher],
    ['es-writer', pair.writer],
  ] as const) {
    const values: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await probe.once();
      await sleep(500);
      const killedAt = performance.now();
      await program.end('SIGKILL');
      const [, arrived] = await Promise.all([program.start(), probe.once().then(() => performance.now())]);
      values.push(arrived - killedAt);
    }
    say(`${name}: ${show(median(values))} ms`);
    measures.push({ name: `${name} killed: until a change made after it has arrived`, unit: 'ms', values });
  }
  ended.abort();
  await traffic;
  return measures;
}
