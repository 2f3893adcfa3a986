import { join } from 'node:path';
import { connectCluster, createPlacesIndex, load, refresh } from '../scripts/demo/cluster.ts';
import { places } from '../scripts/demo/places.ts';
import { Program } from '../scripts/demo/program.ts';
import { startElasticsearch, startNats, startOpenSearch, temporaryDirectory, type Server } from '../scripts/servers.ts';
import type { ElasticClient } from '../src/elastic/index.ts';

/** Two warm engines, and clients for them. */
export type Engines = { source: Server; target: Server; from: ElasticClient; to: ElasticClient; directory: string };

/** Elasticsearch 8.19 and OpenSearch 2.19 as they run by default, with enough heap. */
export async function startEngines(heap = '768m'): Promise<Engines> {
  const directory = temporaryDirectory('bench');
  const [source, target] = await Promise.all([
    startElasticsearch({ version: '8.19', dataDir: join(directory, 'source'), profile: 'bench', heap }),
    startOpenSearch({ version: '2.19', dataDir: join(directory, 'target'), profile: 'bench', heap }),
  ]);
  return { source, target, from: connectCluster(source.url), to: connectCluster(target.url), directory };
}

export async function stopEngines({ source, target, from, to }: Engines): Promise<void> {
  await Promise.all([from.close(), to.close()]);
  await Promise.all([source.kill('SIGKILL'), target.kill('SIGKILL')]);
}

/** So many places in an index of their own at the source, refreshed. */
export async function loadPlaces({ from }: Engines, index: string, documents: number): Promise<void> {
  await createPlacesIndex(from, index);
  await load(from, index, places(documents), () => undefined);
  await refresh(from, index);
}

export type Pair = { nats: Server; watcher: Program; writer: Program };

let pairs = 0;

/** A watcher and a writer, not started yet, with a NATS server of their own. The index has the name `to` at the target. */
export async function preparePair(
  { source, target, directory }: Engines,
  names: { from: string; to: string },
  options: { watcherFlags?: readonly string[]; writerFlags?: readonly string[]; env?: Record<string, string> } = {},
): Promise<Pair> {
  const home = join(directory, `pair-${++pairs}`);
  const nats = await startNats({ storeDir: home });
  const { watcherFlags = [], writerFlags = [], env = {} } = options;
  const watcher = new Program({
    name: 'es-watcher',
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
