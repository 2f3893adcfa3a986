import { join } from 'node:path';
import { Program } from '../scripts/demo/program.ts';
import type { WatcherStats, WriterStats } from '../scripts/demo/stack.ts';
import { until } from '../scripts/demo/until.ts';
import { startNats, temporaryDirectory } from '../scripts/servers.ts';
import { connectNats } from '../src/jetstream/index.ts';
import type { Benchmark, Context, Goal, Measure, Result } from './benchmark.ts';
import { median, show } from './figures.ts';
import { costOf, type Cost } from './process-cost.ts';
import { profiling, shipped, shippedEnvironment } from './shipped.ts';
import { startStubEngine, stubShards } from './stub-engine.ts';

const index = 'places';
const documentBytes = 330;
const floorPerSecond = 250_000;
const cpuMaxMicros = 10;
const memoryMaxMb = 128;
const wireShareMax = 1 / 8;
const withinMs = 300_000;

type Half = { perSecond: number; cost: Cost };
type Round = { watcher: Half; writer: Half; wireShare: number };

export const benchmark: Benchmark = {
  name: 'halves',
  title: 'Each side without the engines',
  about:
    'Watcher and writer one after the other, each beside a stand-in for its cluster that does nothing but write or read bytes, and a real nats-server: ' +
    'places filled up to 330 bytes, two shards; the bundle that is shipped. Time runs from the launch of the program to the last document, its start included; CPU and memory are ' +
    'of that program alone. Wire bytes are those of the stream beside those of the documents.',
  async run({ quick, say }: Context): Promise<Result> {
    const documents = quick ? 200_000 : 500_000;
    const engine = await startStubEngine({ index, documents, documentBytes });
    const rounds: Round[] = [];
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      const measured = await measure(engine.url, documents * stubShards);
      const { watcher, writer } = measured;
      say(`watcher ${describe(watcher, documents)}, writer ${describe(writer, documents)}`);
      rounds.push(measured);
    }
    await engine.end();
    return evaluate(rounds, documents * stubShards);
  },
};

function describe({ perSecond, cost }: Half, documents: number): string {
  return `${show(perSecond)} documents/s, ${show((cost.cpuMs * 1000) / (documents * stubShards))} µs CPU, ${show(cost.peakBytes / 1e6)} MB`;
}

async function measure(url: string, documents: number): Promise<Round> {
  const home = temporaryDirectory('bench-halves');
  const nats = await startNats({ storeDir: join(home, 'nats') });
  const common = [`--es-hosts=${url}`, `--nats-url=${nats.url}`];
  const checkpoint = join(home, 'checkpoint');
  const watcher = await program('es-watcher', home, [...common, `--index-patterns=${index}`, `--checkpoint-path=${checkpoint}`]);
  const read = async () => {
    const stats = await watcher.stats<WatcherStats>();
    return stats?.lagOperations === 0 && stats.indices.flatMap(({ shards }) => shards).length === stubShards;
  };
  const watched = await half(watcher, documents, read);
  const link = await connectNats({ urls: [nats.url], name: 'bench' });
  const { state } = await link.manager.streams.info('ES_CHANGES');
  await link.close();
  const writer = await program('es-writer', home, common);
  const written = async () => ((await writer.stats<WriterStats>())?.documents.stored ?? 0) >= documents;
  const round = {
    watcher: watched,
    writer: await half(writer, documents, written),
    wireShare: state.bytes / (documents * documentBytes),
  };
  await nats.kill('SIGKILL');
  return round;
}

async function program(name: 'es-watcher' | 'es-writer', home: string, flags: readonly string[]): Promise<Program> {
  const logFile = join(home, `${name}.log`);
  const env = profiling();
  // A profile is of the source, where functions are told by their files.
  if (env['NODE_OPTIONS'] !== undefined) return new Program({ name, logFile, flags, env });
  return new Program({ name, ...(await shipped(name)), logFile, flags, env: shippedEnvironment });
}

async function half(program: Program, documents: number, isDone: () => Promise<boolean>): Promise<Half> {
  const startedAt = performance.now();
  await program.start();
  await until('the last document', isDone, { everyMs: 10, withinMs });
  const tookMs = performance.now() - startedAt;
  const cost = costOf(program.pid);
  await program.end('SIGTERM');
  return { perSecond: (documents / tookMs) * 1000, cost };
}

function evaluate(rounds: readonly Round[], documents: number): Result {
  const measures: Measure[] = [];
  const goals: Goal[] = [];
  const micros = ({ cost }: Half) => (cost.cpuMs * 1000) / documents;
  for (const side of ['watcher', 'writer'] as const) {
    const halves = rounds.map((round) => round[side]);
    const rates = halves.map(({ perSecond }) => perSecond);
    const peaks = halves.map(({ cost }) => cost.peakBytes / 1e6);
    measures.push(
      { name: `es-${side}`, unit: 'documents/s', values: rates },
      { name: `es-${side}, CPU`, unit: 'µs/document', values: halves.map(micros) },
      { name: `es-${side}, peak memory`, unit: 'MB', values: peaks },
    );
    goals.push(
      {
        name: `es-${side} without the engines`,
        value: median(rates),
        unit: 'documents/s',
        bound: { atLeast: floorPerSecond },
        enforced: false,
      },
      {
        name: `peak memory of es-${side}, without the engines`,
        value: Math.max(...peaks),
        unit: 'MB',
        bound: { atMost: memoryMaxMb },
        enforced: false,
      },
    );
  }
  const both = median(rounds.map(({ watcher, writer }) => micros(watcher) + micros(writer)));
  const wire = median(rounds.map(({ wireShare }) => wireShare));
  measures.push({
    name: 'bytes of the stream beside those of the documents',
    unit: '×',
    values: rounds.map(({ wireShare }) => wireShare),
  });
  goals.push(
    {
      name: 'CPU of watcher and writer together',
      value: both,
      unit: 'µs/document',
      bound: { atMost: cpuMaxMicros },
      enforced: false,
    },
    { name: 'wire bytes beside document bytes', value: wire, unit: '×', bound: { atMost: wireShareMax }, enforced: true },
  );
  return { measures, goals };
}
