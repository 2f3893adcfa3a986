import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { describeError } from '../src/core/errors.ts';
import { isMet, type Benchmark, type Goal, type Result } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import { boundText, mark, page, valueText, type Kept } from './report.ts';
import { openEngines, startEngines, type EnginePair, type Engines } from './stack.ts';

/**
 * `run.ts [--quick [--write]] [NAME ...]`: runs benchmarks, each in a process of its own, prints the goals with a mark, and writes docs/benchmarks.md
 * with its plots. With `--quick` they are fewer and small, and nothing is written unless `--write` asks for it. Exit code 1 when a goal that is enforced is missed.
 */
const quickNames = ['spans', 'archive', 'checkpoint', 'halves', 'backfill', 'latency', 'start'];
const names = [...quickNames, 'adaptive', 'deletes', 'idle', 'recovery', 'gateway', 'nats3', 'artefacts', 'firecracker'];

const docs = resolve(import.meta.dirname, '..', 'docs');
const plots = join(docs, 'benchmarks');
const keptFile = join(plots, 'figures.json');

/** Sent by a benchmark's process, and the answer to a wish. */
type Report = { said: string } | { result: Result } | { failed: string } | { wants: 'engines' };
type Answer = { engines: EnginePair };

let starting: Promise<EnginePair> | undefined;

/** The engines of this run, started when the first benchmark wants them. */
function engines(): Promise<EnginePair> {
  process.stdout.write(starting === undefined ? '  starting the engines\n' : '');
  starting ??= startEngines();
  return starting;
}

async function benchmarkOf(name: string): Promise<Benchmark> {
  return ((await import(`./${name}.ts`)) as { benchmark: Benchmark }).benchmark;
}

function send(report: Report): Promise<void> {
  return new Promise((sent) => process.send!(report, () => sent()));
}

/** The other end of `measure`: this file as a process of one benchmark. */
async function measureHere(name: string, quick: boolean): Promise<void> {
  try {
    const benchmark = await benchmarkOf(name);
    const result = await benchmark.run({ quick, say: (said) => void send({ said }), engines: askForEngines });
    await send({ result });
  } catch (error) {
    await send({ failed: describeError(error) });
  }
  // what was not stopped ends with this process
  process.exit();
}

async function askForEngines(): Promise<Engines> {
  const answered = once(process, 'message') as Promise<[Answer]>;
  await send({ wants: 'engines' });
  const [{ engines: pair }] = await answered;
  return openEngines(pair);
}

async function measure(name: string, quick: boolean): Promise<Result> {
  const child = fork(import.meta.filename, ['--alone', ...(quick ? ['--quick'] : []), name]);
  let result: Result | undefined;
  let failed = 'it ended without a result';
  child.on('message', (report: Report) => {
    if ('said' in report) process.stdout.write(`  ${report.said}\n`);
    else if ('wants' in report) answer(child);
    else if ('result' in report) result = report.result;
    else failed = report.failed;
  });
  await once(child, 'exit');
  if (result === undefined) throw new Error(`${name}: ${failed}`);
  return result;
}

function answer(child: ChildProcess): void {
  engines().then(
    (pair) => child.send({ engines: pair } satisfies Answer),
    (error: unknown) => {
      process.stderr.write(`${describeError(error)}\n`);
      child.kill();
    },
  );
}

function readKept(): Record<string, Kept> {
  return existsSync(keptFile) ? (JSON.parse(readFileSync(keptFile, 'utf8')) as Record<string, Kept>) : {};
}

/** Figures of benchmarks that were not run this time stay as they were. */
async function write(fresh: ReadonlyMap<string, Result>, quick: boolean): Promise<void> {
  const machine = describeMachine();
  const kept = readKept();
  mkdirSync(plots, { recursive: true });
  for (const [name, { plots: drawn = [], ...result }] of fresh) {
    for (const { name: plot, svg } of drawn) writeFileSync(join(plots, `${plot}.svg`), svg);
    kept[name] = { machine, quick, result: { ...result, plots: drawn.map((plot) => ({ name: plot.name, svg: '' })) } };
  }
  writeFileSync(keptFile, `${JSON.stringify(kept, null, 1)}\n`);
  const entries = [];
  for (const name of names) if (kept[name] !== undefined) entries.push({ benchmark: await benchmarkOf(name), kept: kept[name] });
  writeFileSync(
    join(docs, 'benchmarks.md'),
    page(entries, (plot) => `benchmarks/${plot}.svg`),
  );
  process.stdout.write(`\nwritten: ${join(docs, 'benchmarks.md')}\n`);
}

function printGoals(goals: readonly Goal[]): void {
  process.stdout.write('\n');
  for (const goal of goals) {
    const failure = isMet(goal) ? '' : goal.enforced ? '  MISSED' : '  below the goal';
    process.stdout.write(`${mark(goal)} ${goal.name.padEnd(52)} ${valueText(goal).padStart(20)}  ${boundText(goal)}${failure}\n`);
  }
}

async function main(wanted: readonly string[], quick: boolean, writes: boolean): Promise<boolean> {
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`no benchmark is called ${unknown.join(', ')}; there are ${names.join(', ')}`);
  const results = new Map<string, Result>();
  const failures: string[] = [];
  for (const name of wanted.length > 0 ? wanted : quick ? quickNames : names) {
    process.stdout.write(`${(await benchmarkOf(name)).title}\n`);
    try {
      results.set(name, await measure(name, quick));
    } catch (error) {
      failures.push(describeError(error));
    }
  }
  const goals = [...results.values()].flatMap((result) => result.goals);
  printGoals(goals);
  for (const failure of failures) process.stderr.write(`✗ ${failure}\n`);
  if (writes && results.size > 0) await write(results, quick);
  return failures.length === 0 && goals.every((goal) => !goal.enforced || isMet(goal));
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    alone: { type: 'boolean', default: false },
  },
});
if (values.alone) await measureHere(positionals[0] ?? '', values.quick);
else {
  try {
    if (!(await main(positionals, values.quick, values.write || !values.quick))) process.exitCode = 1;
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n`);
    process.exitCode = 1;
  }
}
