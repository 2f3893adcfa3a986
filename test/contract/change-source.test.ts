import { randomUUID } from 'node:crypto';
import { createClient, createIndexDirectory, identify, indexPath, parseIndexPatterns } from '../../src/elastic/index.ts';
import { Checkpoint } from '../../src/es-watcher/checkpoint.ts';
import { ClusterSource } from '../../src/es-watcher/cluster-source.ts';
import { MemoryShard } from '../support/memory-changes.ts';
import { sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { changeSourceContract, type ChangeBench } from './change-source.ts';

changeSourceContract('a shard in memory', async () => {
  const shard = new MemoryShard('memory');
  return {
    index: 'memory',
    write: async (id, source) => shard.apply(id, source),
    remove: async (id) => shard.apply(id, undefined),
    open: async () => shard.open(),
    close: async () => {},
  };
});

async function clusterBench(url: string): Promise<ChangeBench> {
  const index = `contract-${randomUUID()}`;
  const client = createClient({ hosts: [url] });
  const server = await identify(client);
  const checkpoint = new Checkpoint(':memory:');
  await client.ok({
    method: 'PUT',
    path: indexPath(index),
    body: '{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"enabled":false}}',
  });
  const document = (id: string): string => indexPath(index, `_doc/${encodeURIComponent(id)}`);
  return {
    index,
    write: async (id, source) => void (await client.ok({ method: 'PUT', path: document(id), body: source })),
    remove: async (id) => void (await client.ok({ method: 'DELETE', path: document(id) })),
    open: async () =>
      new ClusterSource(
        {
          tenant: 't',
          pollIntervalMs: 20,
          discoveryIntervalMs: 200,
          refresh: 'force',
          pageDocumentsMax: 100,
          pageBytesMax: 1_000_000,
          shardsParallel: 2,
          pagesMax: 4,
          propagateIndexDeletes: false,
        },
        {
          reader: { client, server },
          directory: createIndexDirectory(client, parseIndexPatterns(index)),
          checkpoint,
          now: Date.now,
          noteStored: () => {},
          acknowledgedThrough: async () => 0,
        },
      ),
    async close() {
      checkpoint.close();
      await client.ok({ method: 'DELETE', path: indexPath(index) });
      await client.close();
    },
  };
}

changeSourceContract('Elasticsearch', async () => clusterBench((await sharedElasticsearch('8.19')).url));
changeSourceContract('OpenSearch', async () => clusterBench((await sharedOpenSearch('2.19')).url));
