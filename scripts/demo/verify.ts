import { type ElasticClient, type Hit, hitsOf, indexPath, scanSearchAnswer } from '../../src/elastic/index.ts';
import { count, refresh } from './cluster.ts';

export type Verification = { documents: number; missing: number; extra: number; different: number };

const pageSize = 2_000;
/** A scroll's id stands at the beginning of its answer, before the first document. */
const headBytes = 65_536;

/**
 * Compares all documents of an index on two clusters at rest: id, routing and the bytes of `_source`. The source is read by a scroll and
 * not by sequence number, so that the sync's own way of reading does not vouch for itself; the target is asked for each page's ids.
 * Memory is that of two pages.
 */
export async function verify(
  source: ElasticClient,
  target: ElasticClient,
  index: string,
  onCompared: (documents: number) => void = () => undefined,
): Promise<Verification> {
  await Promise.all([refresh(source, index), refresh(target, index)]);
  const result: Verification = { documents: 0, missing: 0, extra: 0, different: 0 };
  let found = 0;
  for await (const page of scroll(source, index)) {
    const there = new Map((await search(target, index, idsQuery(page))).map((hit) => [keyOf(hit), hit]));
    for (const hit of page) {
      const other = there.get(keyOf(hit));
      if (other === undefined) result.missing++;
      else if (!isSame(hit, other)) result.different++;
    }
    found += there.size;
    result.documents += page.length;
    onCompared(result.documents);
  }
  // whatever the target holds beyond what was asked for is a document that the source does not have
  result.extra = (await count(target, index)) - found;
  return result;
}

export function isExact({ missing, extra, different }: Verification): boolean {
  return missing === 0 && extra === 0 && different === 0;
}

function keyOf({ id, routing }: Hit): string {
  return JSON.stringify([id, routing]);
}

function isSame(one: Hit, other: Hit): boolean {
  return one.source !== undefined && other.source !== undefined && one.source.equals(other.source);
}

function idsQuery(hits: readonly Hit[]): object {
  return { size: pageSize, query: { ids: { values: hits.map(({ id }) => id) } } };
}

async function search(client: ElasticClient, index: string, query: object): Promise<Hit[]> {
  const { body } = await client.ok({
    method: 'POST',
    path: indexPath(index, '_search'),
    body: JSON.stringify({ ...query, sort: ['_doc'] }),
  });
  return hitsIn(body);
}

async function* scroll(client: ElasticClient, index: string): AsyncGenerator<Hit[]> {
  const first = JSON.stringify({ size: pageSize, sort: ['_doc'] });
  let next = client.ok({ method: 'POST', path: indexPath(index, '_search'), query: { scroll: '2m' }, body: first });
  while (true) {
    const { body } = await next;
    const id = /"_scroll_id":"([^"]+)"/.exec(body.toString('latin1', 0, headBytes))?.[1];
    const hits = hitsIn(body);
    if (id === undefined) throw new Error('the answer to a scroll has no id');
    if (hits.length === 0) {
      await client.ok({ method: 'DELETE', path: '/_search/scroll', body: JSON.stringify({ scroll_id: id }) });
      return;
    }
    next = client.ok({ method: 'POST', path: '/_search/scroll', body: JSON.stringify({ scroll: '2m', scroll_id: id }) });
    // an answer that fails while this page is compared is reported when it is awaited
    next.catch(() => undefined);
    yield hits;
  }
}

function hitsIn(body: Buffer): Hit[] {
  const answer = scanSearchAnswer(body);
  const { shards, timedOut } = answer;
  if (timedOut || shards.failed > 0) throw new Error(`a search did not reach every shard: ${shards.failures || 'timed out'}`);
  return hitsOf(answer);
}
