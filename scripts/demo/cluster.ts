import { createClient, indexPath, type ElasticClient } from '../../src/elastic/index.ts';
import { placesIndex, type Place } from './places.ts';

export function connectCluster(url: string): ElasticClient {
  return createClient({ hosts: [url], timeoutMs: 60_000 });
}

export async function createPlacesIndex(client: ElasticClient, index: string): Promise<void> {
  await client.ok({ method: 'PUT', path: indexPath(index), body: JSON.stringify(placesIndex) });
}

/** Sends bulk lines, each with its line end. Throws when the cluster took any of them otherwise than `accepts` allows. */
export async function bulk(
  client: ElasticClient,
  index: string,
  lines: readonly string[],
  accepts: (status: number) => boolean = (status) => status < 300,
): Promise<void> {
  const answer = (await client.json({
    method: 'POST',
    path: indexPath(index, '_bulk'),
    query: { filter_path: 'items.*.status,items.*.error' },
    body: lines.join(''),
    contentType: 'application/x-ndjson',
  })) as { items: Record<string, { status: number }>[] };
  const wrong = answer.items.find((item) => Object.values(item).some(({ status }) => !accepts(status)));
  if (wrong !== undefined) throw new Error(`the cluster refused an operation: ${JSON.stringify(wrong)}`);
}

/** Writes places, two requests at once, and tells how many have been written. */
export async function load(
  client: ElasticClient,
  index: string,
  places: Iterable<Place>,
  onLoaded: (documents: number) => void,
): Promise<void> {
  const batches = inBatches(places, 2_500);
  let loaded = 0;
  const work = async (): Promise<void> => {
    for (const batch of batches) {
      await bulk(
        client,
        index,
        batch.map(({ id, source }) => `{"index":{"_id":${JSON.stringify(id)}}}\n${source}\n`),
      );
      loaded += batch.length;
      onLoaded(loaded);
    }
  };
  // both take from the same generator, so each batch is sent once
  await Promise.all([work(), work()]);
}

function* inBatches<Item>(items: Iterable<Item>, size: number): Generator<Item[]> {
  let batch: Item[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

export async function refresh(client: ElasticClient, index: string): Promise<void> {
  await client.ok({ method: 'POST', path: indexPath(index, '_refresh') });
}

/** Documents that a search sees. */
export async function count(client: ElasticClient, index: string): Promise<number> {
  const answer = (await client.json({ method: 'GET', path: indexPath(index, '_count') })) as { count: number };
  return answer.count;
}
