import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { Program } from '../scripts/demo/program.ts';
import { makeTarballs, muslPlatform, platform } from '../scripts/release/artefacts.ts';
import { distPath } from '../scripts/release/product.ts';
import type { Benchmark, Context, Goal, Measure, Result } from './benchmark.ts';
import { median, show } from './figures.ts';
import { costOf } from './process-cost.ts';
import { endPair, loadPlaces, preparePair, type Engines } from './stack.ts';

const versionMaxMs = 100;
const readyMaxMs = 150;
const programs = ['es-watcher', 'es-writer'] as const;

export const benchmark: Benchmark = {
  name: 'artefacts',
  title: 'What is shipped',
  about:
    'The executables of `make release` and `make musl`, and the archives of `make tarball`: their sizes, the time until `--version` has ' +
    'answered and until the admin server says that the program does its work, and the memory that it has taken by then. The executable for ' +
    'musl runs in a root directory that holds nothing else.',
  async run({ quick, say, engines: start }: Context): Promise<Result> {
    const rounds = quick ? 3 : 10;
    const measures: Measure[] = [];
    const goals: Goal[] = [];
    const archives = await makeTarballs();
    const jails = { [platform]: [], [muslPlatform]: ['chroot', distPath(muslPlatform)] } as Record<string, readonly string[]>;
    for (const [each, jail] of Object.entries(jails)) {
      const archive = archives.find((file) => file.endsWith(`${each}.tar.gz`));
      if (archive === undefined) continue;
      measures.push({ name: `${each}, executable`, unit: 'MB', values: [megabytes(distPath(each, 'es-sync'))] });
      measures.push({ name: `${each}, archive with nats-server`, unit: 'MB', values: [megabytes(archive)] });
      const words = jail.length === 0 ? [distPath(each, 'es-watcher')] : [...jail, '/es-watcher'];
      const values = [];
      for (let round = 0; round <= rounds; round++) values.push(await version(words));
      // round 0 reads the file from the disk
      measures.push({ name: `${each}, es-watcher --version`, unit: 'ms', values: values.slice(1) });
      goals.push(goalOf(`${each}, es-watcher --version`, values.slice(1), versionMaxMs));
    }
    const starts = await toReady(await start(), rounds, say);
    for (const [name, values] of Object.entries(starts)) {
      measures.push({ name: `${platform}, ${name} to ready`, unit: 'ms', values: values.map(({ readyMs }) => readyMs) });
      measures.push({ name: `${platform}, ${name} at ready, memory`, unit: 'MB', values: values.map(({ peakMb }) => peakMb) });
      if (name !== 'es-sync run') {
        goals.push(
          goalOf(
            `${platform}, ${name} to ready`,
            values.map(({ readyMs }) => readyMs),
            readyMaxMs,
          ),
        );
      }
    }
    return {
      measures,
      goals,
      notes: ['`es-sync run` starts its NATS server and waits for it; its memory is without that server’s.'],
    };
  },
};

function goalOf(name: string, values: readonly number[], atMost: number): Goal {
  return { name, value: median(values), unit: 'ms', bound: { atMost }, enforced: false };
}

function megabytes(file: string): number {
  return statSync(file).size / 1e6;
}

async function version(words: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  const [code] = (await once(spawn(words[0]!, [...words.slice(1), '--version'], { stdio: 'ignore' }), 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${words.join(' ')} --version ended with ${code}`);
  return performance.now() - startedAt;
}

type Start = { readyMs: number; peakMb: number };

/** Watcher and writer as a pair on a NATS server of their own, then both in one. */
async function toReady(engines: Engines, rounds: number, say: (text: string) => void): Promise<Record<string, Start[]>> {
  await loadPlaces(engines, 'places', 1_000);
  const starts: Record<string, Start[]> = { 'es-watcher': [], 'es-writer': [], 'es-sync run': [] };
  const started = async (name: string, program: Program): Promise<void> => {
    const readyMs = await program.start();
    starts[name]!.push({ readyMs, peakMb: costOf(program.pid).peakBytes / 1e6 });
  };
  for (let round = 0; round < rounds; round++) {
    const executables = distPath(platform);
    const pair = await preparePair(engines, { from: 'places', to: `copy-${round}` }, { programs: { directory: executables } });
    for (const name of programs) await started(name, name === 'es-watcher' ? pair.watcher : pair.writer);
    await endPair(pair);
    const home = join(engines.directory, `sync-${round}`);
    const both = [`--source=${engines.source.url}`, `--target=${engines.target.url}`, `--rename=places=both-${round}`];
    const sync = new Program({
      name: 'es-sync',
      executable: distPath(platform, 'es-sync'),
      command: ['run'],
      flags: [...both, '--index-patterns=places', `--data-dir=${home}`, '--nats-binary=/nowhere', '--js-max-file=64MB'],
      logFile: join(engines.directory, `sync-${round}.log`),
    });
    await started('es-sync run', sync);
    await sync.end('SIGTERM');
  }
  const told = Object.entries(starts).map(
    ([name, each]) => `${name} ready after ${show(median(each.map(({ readyMs }) => readyMs)))} ms`,
  );
  say(told.join(', '));
  return starts;
}
