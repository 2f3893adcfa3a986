import { join } from 'node:path';
import { connectCluster, createPlacesIndex, load, refresh } from '../scripts/demo/cluster.ts';
import { places } from '../scripts/demo/places.ts';
import { Program, type ProgramOptions } from '../scripts/demo/program.ts';
import { startElasticsearch, startNats, startOpenSearch, temporaryDirectory, type Server } from '../scripts/servers.ts';
import { shipped, shippedEnvironment } from './shipped.ts';
import { indexPath, type ElasticClient } from '../src/elastic/index.ts';

/** An engine of the run, as a benchmark's process is told of it. */
export type Engine = { url: string; pid: number; version: string };
export type EnginePair = { source: Engine; target: Engine };

/** A benchmark's own view of the engines: clients, and a directory for what it starts. */
export type Engines = EnginePair & { from: ElasticClient; to: ElasticClient; directory: string };

/** Elasticsearch 8.19 and OpenSearch 2.19 as they run by default, with enough heap. They end with this process. */
export async function startEngines(): Promise<EnginePair> {
  const directory = temporaryDirectory('bench-engines');
  const [source, target] = await Promise.all([
    startElasticsearch({ version: '8.19', dataDir: join(directory, 'source'), profile: 'bench', heap: '768m' }),
    startOpenSearch({ version: '2.19', dataDir: join(directory, 'target'), profile: 'bench', heap: '768m' }),
  ]);
  return { source: describe(source), target: describe(target) };
}

function describe({ url, pid, version }: Server): Engine {
  return { url, pid, version };
}

/** Clients of engines from which everything that other benchmarks have left is removed. */
export async function openEngines({ source, target }: EnginePair): Promise<Engines> {
  const engines = { source, target, from: connectCluster(source.url), to: connectCluster(target.url) };
  for (const client of [engines.from, engines.to]) {
    const found = (await client.json({ method: 'GET', path: '/_cat/indices', query: { format: 'json', h: 'index' } })) as {
      index: string;
    }[];
    const ours = found.map(({ index }) => index).filter((index) => !index.startsWith('.'));
    for (const index of ours) await client.ok({ method: 'DELETE', path: indexPath(index) });
  }
  return { ...engines, directory: temporaryDirectory('bench') };
}

export function versionsOf({ source, target }: EnginePair): Record<string, string> {
  return { Elasticsearch: source.version, OpenSearch: target.version };
}

/** So many places in an index of their own at the source, refreshed. */
export async function loadPlaces({ from }: Engines, index: string, documents: number): Promise<void> {
  await createPlacesIndex(from, index);
  await load(from, index, places(documents), () => undefined);
  await refresh(from, index);
}

export type Pair = { nats: Server; watcher: Program; writer: Program };

type PairOptions = {
  watcherFlags?: readonly string[];
  writerFlags?: readonly string[];
  env?: Record<string, string>;
  /** A directory with built programs, or the launchers in bin/. Default: the bundle. */
  programs?: { directory: string } | 'source';
};

let pairs = 0;

/** A watcher and a writer, not started yet, with a NATS server of their own. The index has the name `to` at the target. */
export async function preparePair(
  { source, target, directory }: Engines,
  names: { from: string; to: string },
  options: PairOptions = {},
): Promise<Pair> {
  const home = join(directory, `pair-${++pairs}`);
  const nats = await startNats({ storeDir: home });
  const { watcherFlags = [], writerFlags = [], programs } = options;
  const env = { ...shippedEnvironment, ...options.env };
  const run = (name: ProgramOptions['name']) => {
    if (programs === 'source') return {};
    return programs === undefined ? shipped(name) : { executable: join(programs.directory, name) };
  };
  const watcher = new Program({
    name: 'es-watcher',
    ...(await run('es-watcher')),
    logFile: join(home, 'watcher.log'),
    flags: [
      `--es-hosts=${source.url}`,
      `--nats-url=${nats.url}`,
      `--index-patterns=${names.from}`,
      `--checkpoint-path=${join(home, 'checkpoint')}`,
      ...watcherFlags,
    ],
    env,
  });
  const writer = new Program({
    name: 'es-writer',
    ...(await run('es-writer')),
    logFile: join(home, 'writer.log'),
    flags: [`--es-hosts=${target.url}`, `--nats-url=${nats.url}`, `--rename=${names.from}=${names.to}`, ...writerFlags],
    env,
  });
  return { nats, watcher, writer };
}

export async function endPair({ nats, watcher, writer }: Pair): Promise<void> {
  await Promise.all([watcher.end('SIGTERM'), writer.end('SIGTERM')]);
  await nats.kill('SIGKILL');
}
