import { describe } from 'node:test';
import {
  createClient,
  identify,
  indexPath,
  shardStats,
  type ElasticClient,
  type Reader,
  type ShardCopyAddress,
} from '../../src/elastic/index.ts';
import { sharedElasticsearch, sharedOpenSearch } from './servers.ts';

/** A reader of one real server, and what tests need to set it up. */
export type TestCluster = Reader & {
  url: string;
  /** Asks, without a thought for failures. */
  call: (method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown) => Promise<Record<string, unknown>>;
  /** Deletes the indices of a pattern: a server may have been used before. */
  drop: (pattern: string) => Promise<void>;
  /** Where the primary of a shard is. */
  copyOf: (index: string, shard?: number) => Promise<ShardCopyAddress>;
};

/** Runs a suite on Elasticsearch and on OpenSearch. `cluster()` is for the tests' bodies. */
export function onBothServers(title: string, suite: (cluster: () => Promise<TestCluster>) => void): void {
  for (const [name, start] of [
    ['Elasticsearch 8.19', () => sharedElasticsearch('8.19')],
    ['OpenSearch 2.19', () => sharedOpenSearch('2.19')],
  ] as const) {
    let started: Promise<TestCluster> | undefined;
    describe(`${title} on ${name}`, () => {
      suite(() => (started ??= start().then(({ url }) => testCluster(url))));
    });
  }
}

async function testCluster(url: string): Promise<TestCluster> {
  const client = createClient({ hosts: [url] });
  const server = await identify(client);
  return {
    client,
    server,
    url,
    call: (method, path, body) => call(client, method, path, body),
    async drop(pattern) {
      const found = await client.json({ method: 'GET', path: `/_resolve/index/${pattern}`, query: { expand_wildcards: 'all' } });
      for (const { name } of (found as { indices: { name: string }[] }).indices) {
        await client.request({ method: 'DELETE', path: indexPath(name) });
      }
    },
    async copyOf(index, shard = 0) {
      const node = (await shardStats(client, [index])).indices.get(index)?.shards.get(shard)?.node;
      if (node === undefined) throw new Error(`[${index}][${shard}] has no started primary`);
      return { index, shard, node };
    },
  };
}

async function call(client: ElasticClient, method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body: unknown) {
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
  const contentType = path.includes('_bulk') ? 'application/x-ndjson' : 'application/json';
  const answer = await client.request({ method, path, contentType, ...(text === undefined ? {} : { body: text }) });
  return JSON.parse(answer.body.toString() || '{}') as Record<string, unknown>;
}
