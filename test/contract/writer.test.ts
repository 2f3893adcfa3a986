import { BulkWriter, createClient, GcDeletes } from '../../src/elastic/index.ts';
import { Cluster } from '../support/cluster.ts';
import { member, bytesAt } from '../support/json-text.ts';
import { MemoryTarget } from '../support/memory-target.ts';
import { sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { writerSuite, type WriterUnderTest } from './writer.ts';

/** A bulk writer whose bodies are so small that most writes take several requests. */
async function openCluster(url: string): Promise<WriterUnderTest> {
  const client = createClient({ hosts: [url] });
  const cluster = new Cluster(url);
  const made: string[] = [];
  return {
    writer: new BulkWriter({ client, bodyBytesMax: 400, gcDeletes: new GcDeletes({ client, wantedMs: 3_600_000 }) }),
    async makeIndex(index) {
      made.push(index);
      const settings = { number_of_shards: 2, number_of_replicas: 0 };
      await cluster.json('PUT', `/${index}`, { settings, mappings: { properties: { n: { type: 'integer' } } } });
    },
    async source(index, id, routing) {
      const query = routing === undefined ? '' : `?routing=${encodeURIComponent(routing)}`;
      const { status, body } = await cluster.send('GET', `/${index}/_doc/${encodeURIComponent(id)}${query}`);
      if (status === 404) return undefined;
      return bytesAt(body.toString('latin1'), member(body.toString('latin1'), 0, '_source')).toString();
    },
    async close() {
      for (const index of made) await cluster.send('DELETE', `/${index}`);
      await cluster.close();
      await client.close();
    },
  };
}

writerSuite('memory', () => {
  const target = new MemoryTarget();
  return Promise.resolve({
    writer: target,
    makeIndex: () => Promise.resolve(),
    source: (index, id, routing) => Promise.resolve(target.source(index, id, routing)),
    close: () => target.close(),
  });
});
writerSuite('Elasticsearch 8.19', async () => openCluster((await sharedElasticsearch('8.19')).url));
writerSuite('OpenSearch 2.19', async () => openCluster((await sharedOpenSearch('2.19')).url));
