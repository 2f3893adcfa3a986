import { join } from 'node:path';
import {
  ServerPool,
  startElasticsearch,
  startNats,
  startOpenSearch,
  temporaryDirectory,
  type ElasticsearchLine,
  type ElasticsearchOptions,
  type NatsOptions,
  type OpenSearchLine,
  type SearchOptions,
  type Server,
  type SharedServer,
} from '../../scripts/servers.ts';

/**
 * Shared servers live as long as the test run and hold other tests' data while a file runs: use index, stream and bucket names of
 * your own. Under scripts/test.ts they belong to the runner, which says where it is asked; a file run alone has its own.
 */
export function sharedElasticsearch(line: ElasticsearchLine = '8.19'): Promise<SharedServer> {
  return shared(`elasticsearch/${line}`);
}

export function sharedOpenSearch(line: OpenSearchLine = '2.19'): Promise<SharedServer> {
  return shared(`opensearch/${line}`);
}

/** The same server for all tests of a file; every file gets an empty one. */
export function sharedNats(): Promise<SharedServer> {
  return shared('nats');
}

/** An S3 server with `credentials`; the same for all tests of a file. */
export function sharedS3(): Promise<SharedServer> {
  return shared('s3');
}

/** A server of one's own, to be killed and restarted at will. It ends with the test process; `stop()` it to end it sooner. */
export async function freshNats(options: Partial<NatsOptions> = {}): Promise<Server> {
  return startNats({ storeDir: temporaryDirectory('nats'), ...options });
}

export async function freshElasticsearch(
  line: ElasticsearchLine = '8.19',
  options: Partial<ElasticsearchOptions> = {},
): Promise<Server> {
  await makeRoom();
  return startElasticsearch({ version: line, dataDir: join(temporaryDirectory('elasticsearch'), 'node'), ...options });
}

export async function freshOpenSearch(line: OpenSearchLine = '2.19', options: Partial<SearchOptions> = {}): Promise<Server> {
  await makeRoom();
  return startOpenSearch({ version: line, dataDir: join(temporaryDirectory('opensearch'), 'node'), ...options });
}

let own: ServerPool | undefined;

async function shared(key: string): Promise<SharedServer> {
  const runner = process.env['ES_SYNC_TEST_SERVERS'];
  if (runner === undefined) return (own ??= new ServerPool()).get(key);
  return (await ask(`${runner}/${key}`)) as SharedServer;
}

async function makeRoom(): Promise<void> {
  const runner = process.env['ES_SYNC_TEST_SERVERS'];
  if (runner !== undefined) await ask(`${runner}/make-room`);
}

async function ask(url: string): Promise<unknown> {
  const response = await fetch(url, { signal: AbortSignal.timeout(300_000) });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}
