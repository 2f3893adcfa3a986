import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Program } from '../scripts/demo/program.ts';
import { until } from '../scripts/demo/until.ts';
import { command } from '../scripts/provision/command.ts';
import { distPath, root } from '../scripts/release/product.ts';
import { type Microvm, startMicrovm } from '../scripts/servers/microvm.ts';
import type { Benchmark, Context, Goal, Measure, Result } from './benchmark.ts';
import { median, show } from './figures.ts';
import { loadPlaces, type Engines, versionsOf } from './stack.ts';

const imageDir = distPath('firecracker');
const imageMaxMb = 160;

export const benchmark: Benchmark = {
  name: 'firecracker',
  title: 'The microVM',
  about:
    'The kernel and the root drive of [deploy/firecracker.md](deploy/firecracker.md) in QEMU’s microvm machine with one processor, **by software emulation**, which ' +
    'takes many times as long as hardware does: of the times, only how they divide says something. Times run from the start of the kernel. Memory is what ' +
    'the kernel and the processes report inside: a process’s own, and pages of files, which the kernel takes back at need. *Synced*: a watcher and a ' +
    'writer outside have carried an index of places through it.',
  async run({ quick, say, engines }: Context): Promise<Result> {
    await command('make', ['firecracker-kernel', 'firecracker-rootfs'], { cwd: root });
    const pair = await engines();
    const documents = quick ? 5_000 : 50_000;
    await loadPlaces(pair, 'places', documents);
    const measures: Measure[] = sizes();
    for (const memoryMb of [128, 256]) {
      const runs: Run[] = [];
      for (let round = 0; round < (quick ? 1 : 3); round++)
        runs.push(await measure(pair, memoryMb, documents, `copy-${memoryMb}-${round}`));
      say(`${memoryMb} MB: ready after ${show(median(runs.map((run) => run.ready)))} s`);
      const names = Object.keys(runs[0]!) as (keyof Run)[];
      for (const name of names) {
        const { label, unit } = labels[name];
        measures.push({ name: `${memoryMb} MB: ${label}`, unit, values: runs.map((run) => run[name]) });
      }
    }
    const image = measures[0]!;
    const goals: Goal[] = [
      { name: image.name, value: image.values[0]!, unit: 'MB', bound: { atMost: imageMaxMb }, enforced: true },
    ];
    return { measures, goals, versions: versionsOf(pair) };
  },
};

function sizes(): Measure[] {
  const files = {
    'root drive': join(imageDir, 'rootfs.ext4'),
    'of it the executable (Node and all programs)': distPath(`linux-${process.arch}`, 'es-sync'),
    'of that our code and its packages': distPath('bundle', 'es-sync.cjs'),
    'of it nats-server': distPath(`linux-${process.arch}`, 'nats-server'),
    kernel: join(imageDir, 'vmlinux'),
  };
  return Object.entries(files).map(([name, file]) => ({ name, unit: 'MB', values: [statSync(file).size / 1e6] }));
}

const labels = {
  init: { label: 'kernel, until init starts', unit: 's' },
  gateway: { label: 'init, until it starts the gateway', unit: 's' },
  ready: { label: 'ready', unit: 's' },
  restUsed: { label: 'memory in use, ready', unit: 'MB' },
  syncedUsed: { label: 'memory in use, synced', unit: 'MB' },
  gatewayOwn: { label: 'gateway’s own memory, synced', unit: 'MB' },
  gatewayFiles: { label: 'gateway’s pages of files, synced', unit: 'MB' },
  serverOwn: { label: 'NATS server’s own memory, synced', unit: 'MB' },
  serverFiles: { label: 'NATS server’s pages of files, synced', unit: 'MB' },
};
type Run = Record<keyof typeof labels, number>;

async function measure(engines: Engines, memoryMb: number, documents: number, index: string): Promise<Run> {
  const dataDir = join(engines.directory, index);
  const ended = new AbortController();
  const kernelStart = kernelStartOf(join(dataDir, 'console.log'), ended.signal);
  const vm = await startMicrovm({ imageDir, dataDir, memoryMb });
  const ready = (performance.now() - (await kernelStart)) / 1_000;
  const atRest = await endWithReport(vm);
  await vm.server.restart();
  await sync(engines, vm, index, documents);
  const synced = await endWithReport(vm);
  ended.abort();
  const first = vm.console();
  const [gatewayOwn, gatewayFiles] = synced.of('nats-gateway');
  const [serverOwn, serverFiles] = synced.of('nats-server');
  const init = stampOf(first, 'started');
  const gateway = stampOf(first, 'starting the gateway') - init;
  return {
    init,
    gateway,
    ready,
    restUsed: atRest.used,
    syncedUsed: synced.used,
    gatewayOwn,
    gatewayFiles,
    serverOwn,
    serverFiles,
  };
}

/** Seconds from the kernel's start to init's first line with this text. */
function stampOf(console: string, text: string): number {
  return Number(new RegExp(`^init \\[ *([\\d.]+)\\]: ${text}`, 'm').exec(console)?.[1]);
}

/** When the kernel started, by our own clock: the time of init's line of the gateway's start less the time that the line tells. */
async function kernelStartOf(consoleFile: string, ended: AbortSignal): Promise<number> {
  while (!ended.aborted) {
    const stamp = existsSync(consoleFile) ? stampOf(readFileSync(consoleFile, 'utf8'), 'starting the gateway') : Number.NaN;
    if (!Number.isNaN(stamp)) return performance.now() - stamp * 1_000;
    await sleep(5);
  }
  return Number.NaN;
}

type MemoryReport = { used: number; of: (process: string) => [own: number, files: number] };

/** Ends the machine, and what init says of memory then. */
async function endWithReport(vm: Microvm): Promise<MemoryReport> {
  const from = vm.console().length;
  await vm.ctrlAltDel();
  await until('the machine to end', () => !vm.server.isRunning(), {});
  const text = vm.console().slice(from);
  const [, total, available] = /memory: ([\d.]+) MB, ([\d.]+) MB available/.exec(text) ?? [];
  return {
    used: Number(total) - Number(available),
    of: (process) => {
      const [, own, files] =
        new RegExp(`memory of (?:/usr/bin/)?${process}: ([\\d.]+) MB own, ([\\d.]+) MB of files`).exec(text) ?? [];
      return [Number(own), Number(files)];
    },
  };
}

type Row = { index: string; 'docs.count': string };

/** A watcher and a writer outside carry an index through the machine. */
async function sync({ source, target, to, directory }: Engines, vm: Microvm, index: string, documents: number): Promise<void> {
  const home = join(directory, index);
  const watcher = new Program({
    name: 'es-watcher',
    logFile: join(home, 'watcher.log'),
    flags: [
      `--es-hosts=${source.url}`,
      `--nats-url=${vm.natsUrl}`,
      '--index-patterns=places',
      `--checkpoint-path=${join(home, 'checkpoint')}`,
    ],
  });
  const writer = new Program({
    name: 'es-writer',
    logFile: join(home, 'writer.log'),
    flags: [`--es-hosts=${target.url}`, `--nats-url=${vm.natsUrl}`, `--rename=places=${index}`],
  });
  await Promise.all([watcher.start(), writer.start()]);
  await until(
    'the documents to arrive',
    async () => {
      await to.ok({ method: 'POST', path: '/_refresh' });
      const found = (await to.json({
        method: 'GET',
        path: '/_cat/indices',
        query: { format: 'json', h: 'index,docs.count' },
      })) as Row[];
      return found.some((row) => row.index === index && Number(row['docs.count']) === documents);
    },
    {},
  );
  await Promise.all([watcher.end('SIGTERM'), writer.end('SIGTERM')]);
}
