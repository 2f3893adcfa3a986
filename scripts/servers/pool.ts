import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ELASTICSEARCH_LINES } from '../provision/elasticsearch.ts';
import { OPENSEARCH_LINES } from '../provision/opensearch.ts';
import { startNats } from './nats.ts';
import type { Server } from './process.ts';
import { startS3, type S3Credentials } from './s3.ts';
import { startElasticsearch, startOpenSearch } from './search.ts';
import { temporaryDirectory } from './watchdog.ts';

/** What a test is told about a server that it shares with others. `url` is complete; credentials come with S3 only. */
export type SharedServer = {
  name: string;
  version: string;
  url: string;
  port: number;
  pid: number;
  logFile: string;
  credentials?: S3Credentials;
};

type Pooled = {
  key: string;
  dataDir: string;
  isEngine: boolean;
  inUse: boolean;
  started: Promise<{ server: Server; credentials?: S3Credentials }>;
};

/** Search engines alive at once, unless one test file needs more: each takes a gigabyte. */
const ENGINES_MAX = 3;

/** Servers started on first demand and handed out again and again, by key: `elasticsearch/8.19`, `opensearch/2.19`, `nats`, `s3`. */
export class ServerPool {
  readonly #directory = temporaryDirectory('servers');
  readonly #pooled = new Map<string, Pooled>();
  #count = 0;

  /** The server of that key, started when there is none alive. Throws on an unknown key. */
  async get(key: string): Promise<SharedServer> {
    let pooled = this.#pooled.get(key);
    if (pooled === undefined) {
      const isEngine = key.includes('/');
      if (isEngine) await this.makeRoom();
      // another caller may have started it while we waited for room
      pooled = this.#pooled.get(key) ?? this.#start(key, isEngine);
    } else {
      // kept in order of use, the least recent first
      this.#pooled.delete(key);
      this.#pooled.set(key, pooled);
    }
    pooled.inUse = true;
    const { server, credentials } = await pooled.started;
    if (!server.isRunning()) await server.restart();
    const { name, version, url, port, pid, logFile } = server;
    return { name, version, url, port, pid, logFile, ...(credentials === undefined ? {} : { credentials }) };
  }

  /** Stops the search engines that were not used since the last `endFile`, until one more may be started. */
  async makeRoom(): Promise<void> {
    for (const pooled of this.#pooled.values()) {
      const engines = [...this.#pooled.values()].filter((one) => one.isEngine);
      if (engines.length < ENGINES_MAX) return;
      if (pooled.isEngine && !pooled.inUse) await this.#drop(pooled);
    }
  }

  /** Between two test files: engines stay but lose their indices; the cheap servers end, so that every file has new ones. */
  async endFile(): Promise<void> {
    for (const pooled of this.#pooled.values()) {
      if (!pooled.inUse) continue;
      pooled.inUse = false;
      const isClean = pooled.isEngine && (await pooled.started.then(({ server }) => isEmptied(server.url)).catch(() => false));
      if (!isClean) await this.#drop(pooled);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pooled.values()].map((pooled) => this.#drop(pooled)));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #start(key: string, isEngine: boolean): Pooled {
    this.#count += 1;
    const dataDir = join(this.#directory, `${key.replace('/', '-')}-${this.#count}`);
    const pooled = { key, dataDir, isEngine, inUse: true, started: startByKey(key, dataDir) };
    this.#pooled.set(key, pooled);
    pooled.started.catch(() => this.#pooled.delete(key));
    return pooled;
  }

  async #drop(pooled: Pooled): Promise<void> {
    this.#pooled.delete(pooled.key);
    const started = await pooled.started.catch(() => undefined);
    await started?.server.kill('SIGKILL');
    rmSync(pooled.dataDir, { recursive: true, force: true });
  }
}

async function startByKey(key: string, dataDir: string): Promise<{ server: Server; credentials?: S3Credentials }> {
  const [kind, line] = key.split('/');
  if (kind === 'nats') return { server: await startNats({ storeDir: dataDir }) };
  if (kind === 's3') return startS3({ dataDir });
  const elasticsearch = ELASTICSEARCH_LINES.find((known) => known === line);
  if (kind === 'elasticsearch' && elasticsearch !== undefined) {
    return { server: await startElasticsearch({ version: elasticsearch, dataDir }) };
  }
  const opensearch = OPENSEARCH_LINES.find((known) => known === line);
  if (kind === 'opensearch' && opensearch !== undefined)
    return { server: await startOpenSearch({ version: opensearch, dataDir }) };
  throw new Error(`no shared server is called ${key}`);
}

/** Deletes all indices and resets the cluster's settings; false where something refuses to go. */
async function isEmptied(url: string): Promise<boolean> {
  const call = (method: string, path: string, body?: unknown) =>
    fetch(`${url}${path}`, {
      method,
      signal: AbortSignal.timeout(60_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
  const settings = await call('PUT', '/_cluster/settings', { persistent: { '*': null }, transient: { '*': null } });
  await call('DELETE', '/_index_template/*');
  const listed = (await (await call('GET', '/_cat/indices?format=json&h=index&expand_wildcards=all')).json()) as {
    index: string;
  }[];
  for (const { index } of listed) {
    if (!(await call('DELETE', `/${encodeURIComponent(index)}`)).ok) return false;
  }
  return settings.ok;
}
