import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startElasticsearch, startNats, startOpenSearch, temporaryDirectory, type Server } from '../servers.ts';
import { keepAtEnd, spareAtEnd } from '../servers/watchdog.ts';
import { Program } from './program.ts';

/** What the programs' /stats say, as far as it is shown. */
export type WatcherStats = { lagOperations: number; indices: { shards: { checkpoint: number }[] }[] };
export type WriterStats = {
  documents: { stored: number };
  /** In messages; looked at once a second. */
  lag?: { pending: number; ackPending: number };
};

export type Stack = {
  directory: string;
  source: Server;
  target: Server;
  nats: Server;
  watcher: Program;
  writer: Program;
};

type ServerName = 'NATS' | 'source' | 'target';

export type StackOptions = {
  index: string;
  onServer?: (name: ServerName, server: Server, tookMs: number) => void;
};

/** Starts the servers side by side; the programs between them are not started yet. */
export async function startStack({ index, onServer }: StackOptions): Promise<Stack> {
  const directory = temporaryDirectory('demo');
  const timed = async (name: ServerName, starting: Promise<Server>): Promise<Server> => {
    const startedAt = performance.now();
    const server = await starting;
    onServer?.(name, server, performance.now() - startedAt);
    return server;
  };
  const [nats, source, target] = await Promise.all([
    timed('NATS', startNats({ storeDir: join(directory, 'nats') })),
    timed('source', startElasticsearch({ version: '8.19', dataDir: join(directory, 'source') })),
    timed('target', startOpenSearch({ version: '2.19', dataDir: join(directory, 'target') })),
  ]);
  mkdirSync(join(directory, 'logs'));
  const watcher = new Program({
    name: 'es-watcher',
    logFile: join(directory, 'logs', 'es-watcher.log'),
    flags: [
      `--es-hosts=${source.url}`,
      `--nats-url=${nats.url}`,
      `--index-patterns=${index}`,
      `--checkpoint-path=${join(directory, 'checkpoint')}`,
    ],
  });
  const writer = new Program({
    name: 'es-writer',
    logFile: join(directory, 'logs', 'es-writer.log'),
    flags: [`--es-hosts=${target.url}`, `--nats-url=${nats.url}`],
  });
  return { directory, source, target, nats, watcher, writer };
}

/** Lets it go on when this process ends, its files too. Returns where it is, and the line for a shell that ends it. */
export function keepStack({ directory, source, target, nats, watcher, writer }: Stack): string[] {
  const groups = [watcher.pid, writer.pid, source.group, target.group, nats.group];
  for (const group of groups) spareAtEnd(group);
  keepAtEnd(directory);
  return [
    `source      ${source.url}   ${source.name}`,
    `target      ${target.url}   ${target.name}`,
    `NATS        ${nats.url}   ${nats.name}`,
    `es-watcher  http://${watcher.address}/stats   pid ${watcher.pid}`,
    `es-writer   http://${writer.address}/stats   pid ${writer.pid}`,
    `logs        ${join(directory, 'logs')}`,
    `stop it:    kill -- ${groups.map((group) => `-${group}`).join(' ')}; sleep 5; rm -rf ${directory}`,
  ];
}

/** Asks the programs to drain, then ends the servers. */
export async function stopStack({ source, target, nats, watcher, writer }: Stack): Promise<void> {
  await Promise.all([watcher.end('SIGTERM'), writer.end('SIGTERM')]);
  await Promise.all([source.kill('SIGKILL'), target.kill('SIGKILL'), nats.kill('SIGKILL')]);
}

/** Whether the programs know of nothing that has not arrived. */
export async function atRest({ watcher, writer }: Stack): Promise<boolean> {
  const [read, written] = await Promise.all([watcher.stats<WatcherStats>(), writer.stats<WriterStats>()]);
  return read?.lagOperations === 0 && written?.lag?.pending === 0 && written.lag.ackPending === 0;
}
