import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Benchmark, Context, Goal, Measure, Result } from './benchmark.ts';
import { median, show } from './figures.ts';
import { costOf } from './process-cost.ts';
import { endPair, loadPlaces, preparePair, type Engines } from './stack.ts';

const programs = ['es-watcher', 'es-writer'] as const;
const coldStartMaxMs = 100;

type Start = { readyMs: number; cpuMs: number; peakMb: number };

export const benchmark: Benchmark = {
  name: 'start',
  title: 'Start of the programs',
  about:
    'From the launcher in `bin/` on: until `--version` has answered, and until the admin server says that the program does its work, ' +
    'connected to a source, a target and NATS. Compiled code comes from Node’s compile cache, as it does from the second start on.',
  async run({ quick, say, engines: start }: Context): Promise<Result> {
    const rounds = quick ? 3 : 10;
    const measures: Measure[] = [];
    const goals: Goal[] = [];
    for (const program of programs) {
      await version(program);
      const values: number[] = [];
      for (let round = 0; round < rounds; round++) values.push(await version(program));
      say(`${program} --version: ${show(median(values))} ms`);
      measures.push({ name: `${program} --version`, unit: 'ms', values });
      const bound = { atMost: coldStartMaxMs };
      goals.push({ name: `${program} --version`, value: median(values), unit: 'ms', bound, enforced: false });
    }
    for (const [program, starts] of Object.entries(await toReady(await start(), rounds, say))) {
      measures.push(
        { name: `${program} to ready`, unit: 'ms', values: starts.map(({ readyMs }) => readyMs) },
        { name: `${program} to ready, CPU`, unit: 'ms', values: starts.map(({ cpuMs }) => cpuMs) },
        { name: `${program} at ready, memory`, unit: 'MB', values: starts.map(({ peakMb }) => peakMb) },
      );
    }
    return { measures, goals };
  },
};

async function version(program: string): Promise<number> {
  const startedAt = performance.now();
  const launcher = fileURLToPath(new URL(`../bin/${program}`, import.meta.url));
  const [code] = (await once(spawn(launcher, ['--version'], { stdio: 'ignore' }), 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${program} --version ended with ${code}`);
  return performance.now() - startedAt;
}

type Starts = Record<(typeof programs)[number], Start[]>;

async function toReady(engines: Engines, rounds: number, say: (text: string) => void): Promise<Starts> {
  await loadPlaces(engines, 'places', 1_000);
  const starts: Starts = { 'es-watcher': [], 'es-writer': [] };
  for (let round = 0; round <= rounds; round++) {
    const pair = await preparePair(engines, { from: 'places', to: `copy-${round}` }, { programs: 'source' });
    for (const [name, program] of [
      ['es-watcher', pair.watcher],
      ['es-writer', pair.writer],
    ] as const) {
      const readyMs = await program.start();
      const { cpuMs, peakBytes } = costOf(program.pid);
      // round 0 fills the compile cache
      if (round > 0) starts[name].push({ readyMs, cpuMs, peakMb: peakBytes / 1e6 });
    }
    await endPair(pair);
  }
  say(programs.map((name) => `${name} ready after ${show(median(starts[name].map(({ readyMs }) => readyMs)))} ms`).join(', '));
  return starts;
}
