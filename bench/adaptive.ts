import { setTimeout as sleep } from 'node:timers/promises';
import { createPlacesIndex, load } from '../scripts/demo/cluster.ts';
import { places, type Place } from '../scripts/demo/places.ts';
import type { WatcherStats, WriterStats } from '../scripts/demo/stack.ts';
import { until } from '../scripts/demo/until.ts';
import { Gate } from '../test/support/gate.ts';
import type { Benchmark, Context, Measure, Result } from './benchmark.ts';
import { median, show } from './figures.ts';
import { chart } from './plot.ts';
import { costOf, memoryOf } from './process-cost.ts';
import { endPair, preparePair, versionsOf, type Engines, type Pair } from './stack.ts';

const index = 'places';
const sampleEveryMs = 250;
const tricklePauseMs = 100;
const slowTarget = 10;
const withinMs = 300_000;

type Sample = { atMs: number; written: number; stored: number; watcherMb: number; writerMb: number };
type Phase = { name: string; from: number; to: number };

export const benchmark: Benchmark = {
  name: 'adaptive',
  title: 'From a trickle to a flood, and a slow target',
  about:
    'One run with the settings as they are: ten documents a second; a flood, as fast as the source takes it; a flood while every bulk answer of the ' +
    'target takes ten times as long; the target at full speed again; ten documents a second. Nothing is set by hand between the phases. The lag is what ' +
    'the source has and the target has not.',
  async run({ quick, say, engines: start }: Context): Promise<Result> {
    const engines = await start();
    await createPlacesIndex(engines.from, index);
    await createPlacesIndex(engines.to, index);
    const front = await Gate.before(engines.target.url);
    const slowed: Engines = { ...engines, target: { ...engines.target, url: front.url } };
    const pair = await preparePair(slowed, { from: index, to: index });
    await Promise.all([pair.watcher.start(), pair.writer.start()]);
    const run = new Run(engines, pair, front);
    await run.through(quick ? { trickleMs: 5_000, flood: 20_000 } : { trickleMs: 20_000, flood: 120_000 }, say);
    await endPair(pair);
    front.close();
    return { ...evaluate(run), versions: versionsOf(engines) };
  },
};

class Run {
  readonly samples: Sample[] = [];
  readonly phases: Phase[] = [];
  readonly #engines: Engines;
  readonly #pair: Pair;
  readonly #front: Gate;
  readonly #places: Iterator<Place> = places(Number.MAX_SAFE_INTEGER);
  #written = 0;
  #stored = 0;

  constructor(engines: Engines, pair: Pair, front: Gate) {
    this.#engines = engines;
    this.#pair = pair;
    this.#front = front;
  }

  async through({ trickleMs, flood }: { trickleMs: number; flood: number }, say: (text: string) => void): Promise<void> {
    const startedAt = performance.now();
    const ended = new AbortController();
    const sampling = this.#sample(startedAt, ended.signal);
    const phase = async (name: string, work: () => Promise<void>): Promise<void> => {
      const from = performance.now() - startedAt;
      await work();
      this.phases.push({ name, from, to: performance.now() - startedAt });
      say(`${name}: ${show((performance.now() - startedAt - from) / 1000)} s`);
    };
    await phase('trickle', () => this.#trickle(trickleMs));
    await phase('flood', () => this.#flood(flood));
    await phase('slow target', async () => {
      this.#front.slowdown = slowTarget;
      const flooding = this.#write(flood);
      await Promise.all([flooding, sleep(trickleMs)]);
      this.#front.slowdown = 1;
    });
    await phase('full speed again', () => this.#caughtUp());
    await phase('trickle again', () => this.#trickle(trickleMs));
    ended.abort();
    await sampling;
  }

  async #trickle(forMs: number): Promise<void> {
    const endAt = performance.now() + forMs;
    while (performance.now() < endAt) {
      await this.#write(1);
      await sleep(tricklePauseMs);
    }
    await this.#caughtUp();
  }

  async #flood(documents: number): Promise<void> {
    await this.#write(documents);
    await this.#caughtUp();
  }

  async #write(documents: number): Promise<void> {
    const before = this.#written;
    await load(this.#engines.from, index, this.#next(documents), (loaded) => (this.#written = before + loaded));
  }

  *#next(documents: number): Generator<Place> {
    for (let n = 0; n < documents; n++) yield this.#places.next().value as Place;
  }

  async #caughtUp(): Promise<void> {
    await until('the last document', () => Promise.resolve(this.#stored >= this.#written), { everyMs: 20, withinMs });
  }

  async #sample(startedAt: number, ended: AbortSignal): Promise<void> {
    const { watcher, writer } = this.#pair;
    while (!ended.aborted) {
      const [, stats] = await Promise.all([watcher.stats<WatcherStats>(), writer.stats<WriterStats>()]);
      this.#stored = stats?.documents.stored ?? this.#stored;
      this.samples.push({
        atMs: performance.now() - startedAt,
        written: this.#written,
        stored: this.#stored,
        watcherMb: memoryOf(watcher.pid) / 1e6,
        writerMb: memoryOf(writer.pid) / 1e6,
      });
      await sleep(sampleEveryMs);
    }
    this.peakMb = { watcher: costOf(watcher.pid).peakBytes / 1e6, writer: costOf(writer.pid).peakBytes / 1e6 };
  }

  peakMb = { watcher: 0, writer: 0 };
}

function evaluate({ samples, phases, peakMb }: Run): Pick<Result, 'measures' | 'goals' | 'plots'> {
  const measures = phases.flatMap(({ name, from, to }): Measure[] => {
    const within = samples.filter(({ atMs }) => atMs >= from && atMs <= to);
    const [first, last] = [within[0], within.at(-1)];
    if (first === undefined || last === undefined || first === last) return [];
    const perSecond = ((last.stored - first.stored) / (last.atMs - first.atMs)) * 1000;
    return [
      { name: `${name}: written to the target`, unit: 'documents/s', values: [perSecond] },
      { name: `${name}: lag, median of the samples`, unit: 'documents', values: [median(within.map(lagOf))] },
      { name: `${name}: memory of es-watcher`, unit: 'MB', values: within.map(({ watcherMb }) => watcherMb) },
      { name: `${name}: memory of es-writer`, unit: 'MB', values: within.map(({ writerMb }) => writerMb) },
    ];
  });
  measures.push(
    { name: 'peak memory of es-watcher', unit: 'MB', values: [peakMb.watcher] },
    { name: 'peak memory of es-writer', unit: 'MB', values: [peakMb.writer] },
  );
  return { measures, goals: [], plots: plotsOf(samples, phases) };
}

function lagOf({ written, stored }: Sample): number {
  return written - stored;
}

function plotsOf(samples: readonly Sample[], phases: readonly Phase[]): NonNullable<Result['plots']> {
  const seconds = ({ atMs }: Sample): number => atMs / 1000;
  const starts = phases.map(({ from }) => Math.round(from / 1000));
  const xAxis = {
    label: `seconds; marks where these begin: ${phases.map(({ name }) => name).join(', ')}`,
    ticks: starts,
    format: String,
  };
  const draw = (name: string, title: string, unit: string, lines: Parameters<typeof chart>[3]) => {
    const most = Math.max(...lines.flatMap(({ points }) => points.map(([, y]) => y)));
    const step = 10 ** Math.floor(Math.log10(Math.max(1, most)));
    const ticks = Array.from({ length: Math.floor(most / step) + 1 }, (_, n) => n * step);
    return { name, svg: chart(title, xAxis, { label: unit, ticks, format: (value) => value.toLocaleString('en-US') }, lines) };
  };
  const rate = samples.slice(1).map((sample, n): [number, number] => {
    const before = samples[n]!;
    return [seconds(sample), ((sample.stored - before.stored) / (sample.atMs - before.atMs)) * 1000];
  });
  return [
    draw('adaptive-rate', 'Written to the target', 'documents a second', [{ label: 'es-writer', points: rate }]),
    draw('adaptive-lag', 'Lag', 'documents', [{ label: 'not yet written', points: samples.map((s) => [seconds(s), lagOf(s)]) }]),
    draw('adaptive-memory', 'Memory', 'MB, resident', [
      { label: 'es-watcher', points: samples.map((s) => [seconds(s), s.watcherMb]) },
      { label: 'es-writer', points: samples.map((s) => [seconds(s), s.writerMb]) },
    ]),
  ];
}
