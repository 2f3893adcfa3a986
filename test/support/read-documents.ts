import { Refused, type Cluster } from './cluster.ts';
import { bytesAt, elements, member, members, stringAt, valueAt } from './json-text.ts';

export type RawDocument = {
  id: string;
  routing: string | undefined;
  /** The text of `_source` as the cluster sent it, raw line ends as spaces (they can only be white space in JSON). */
  source: Buffer;
};

const pageBytes = 8 * 1024 * 1024;
const scrollTime = '2m';

/**
 * Every document that a search of the index sees, in pages, by a scroll in index order: the sync's own way of reading, by sequence
 * number, must not vouch for itself. Throws when a shard failed or when fewer came than the cluster counted.
 */
export async function* readDocuments(cluster: Cluster, index: string): AsyncGenerator<RawDocument[]> {
  const size = await pageSize(cluster, index);
  const body = JSON.stringify({ size, sort: ['_doc'], track_total_hits: true, query: { match_all: {} } });
  let page = await ask(cluster, `/${encodeURIComponent(index)}/_search?scroll=${scrollTime}`, body);
  let read = 0;
  while (page.documents.length > 0) {
    read += page.documents.length;
    yield page.documents;
    page = await ask(cluster, '/_search/scroll', JSON.stringify({ scroll: scrollTime, scroll_id: page.scroll }));
  }
  await cluster.send('DELETE', '/_search/scroll', JSON.stringify({ scroll_id: page.scroll }));
  if (read !== page.total) throw new Error(`${index}: read ${read} documents of ${page.total}`);
}

/** So many documents that an average page is small, whatever the documents are. */
async function pageSize(cluster: Cluster, index: string): Promise<number> {
  const stats = (await cluster.json('GET', `/${encodeURIComponent(index)}/_stats/store,docs`)) as {
    _all: { primaries: { docs: { count: number }; store: { size_in_bytes: number } } };
  };
  const { docs, store } = stats._all.primaries;
  const average = (3 * store.size_in_bytes) / Math.max(1, docs.count);
  return Math.max(10, Math.min(2_000, Math.floor(pageBytes / Math.max(1, average))));
}

type Page = { scroll: string; total: number; documents: RawDocument[] };

async function ask(cluster: Cluster, path: string, body: string): Promise<Page> {
  const reply = await cluster.send('POST', path, body);
  if (reply.status !== 200) throw new Refused(`POST ${path}`, reply);
  return readPage(reply.body);
}

function readPage(body: Buffer): Page {
  const text = body.toString('latin1');
  const shards = valueAt(text, member(text, 0, '_shards')) as { failed: number };
  if (shards.failed > 0) throw new Error(`${shards.failed} shards failed while the documents were read`);
  const hits = member(text, 0, 'hits');
  const total = valueAt(text, member(text, hits.start, 'total')) as { value: number };
  const documents: RawDocument[] = [];
  for (const hit of elements(text, member(text, hits.start, 'hits').start)) documents.push(readHit(text, hit.start));
  return { scroll: stringAt(text, member(text, 0, '_scroll_id')), total: total.value, documents };
}

function readHit(text: string, at: number): RawDocument {
  let id: string | undefined;
  let routing: string | undefined;
  let source: Buffer | undefined;
  for (const one of members(text, at)) {
    if (one.key === '_id') id = stringAt(text, one);
    if (one.key === '_routing') routing = stringAt(text, one);
    if (one.key === '_source') source = bytesAt(text, one);
  }
  if (id === undefined || source === undefined) throw new Error('a hit has no _id or no _source');
  for (const [offset, byte] of source.entries()) if (byte === 0x0a || byte === 0x0d) source[offset] = 0x20;
  return { id, routing, source };
}
