import type { BufferPool } from '../core/buffer-pool.ts';
import { idSpan, numbersEach, seqNoNumber, spansEach } from '../core/document-spans.ts';
import type { ElasticClient } from './client.ts';
import { answerInvalid, ElasticError } from './errors.ts';
import { indexPath } from './path.ts';
import type { Server } from './server.ts';
import { scanSearchAnswer, shardsFact, type SearchAnswer, type ShardsFact } from './spans.ts';

/** A cluster that is read from. */
export type Reader = { client: ElasticClient; server: Server };

/** The one copy of a shard that is read: its primary, on this node. */
export type ShardCopyAddress = { index: string; shard: number; node: string };

/** `after < seq_no <= upTo` */
export type SeqRange = { after: number; upTo: number };

type Limits = { memory?: BufferPool; responseBytesMax?: number; timeoutMs?: number; signal?: AbortSignal | undefined };
/** With `memory`, whoever asks gives `body` of the answer back to it. */
type PageRequest = SeqRange & Limits & { size: number };
/** The documents are views of `body`. */
type Page = SearchAnswer & { body: Buffer };

/** `index.max_result_window` and the clause limit are 10,000 and 1,024 unless someone has changed them. */
const seqNosAtOnce = 10_000;
const idsAtOnce = 1_000;
const rangesAtOnce = 1_000;
/** Its two quotes. */
const emptyTextBytes = 2;
/** An index that has never held a document has no mapping, not even of the fields that every index has. */
const bySeqNo = [{ _seq_no: { order: 'asc', unmapped_type: 'long' } }];

/**
 * Documents of a range, by sequence number; fewer than `size` mean that there are no more. What is not a whole, sure answer throws: shards
 * that failed or timed out (ES_SHARDS_FAILED, transient), a copy that has moved (ES_SHARD_MOVED, transient), more bytes than are allowed
 * (RESPONSE_TOO_LARGE: ask again with half the size). No `filter_path`: with one, servers print documents anew and change their numbers.
 */
export async function searchPage(reader: Reader, copy: ShardCopyAddress, page: PageRequest): Promise<Page> {
  const body = {
    size: page.size,
    query: rangeQuery(page),
    sort: bySeqNo,
    version: true,
    seq_no_primary_term: true,
    track_total_hits: false,
  };
  const bytes = await searchBytes(reader, copy, body, page);
  const answer = scanSearchAnswer(bytes, page.size);
  checkShards(answer.shards, answer.timedOut, copy);
  const { numbers, spans, length } = answer.hits;
  for (let row = 0; row < length; row++) {
    const seqNo = numbers[row * numbersEach + seqNoNumber]!;
    const id = row * spansEach + idSpan;
    if (seqNo > page.after && seqNo <= page.upTo && spans[id + 1]! - spans[id]! > emptyTextBytes) continue;
    throw answerInvalid(
      `a page of [${copy.index}][${copy.shard}]`,
      new Error(`document ${row} of it has seq_no ${seqNo} or no id`),
    );
  }
  return { ...answer, body: bytes };
}

type HistogramRequest = {
  ranges: readonly SeqRange[];
  origin: number;
  interval: number;
  signal?: AbortSignal | undefined;
};

/**
 * How many live documents lie in each bucket of `interval` sequence numbers; buckets begin at `origin + k * interval`. The key is a
 * bucket's first sequence number; empty buckets are absent. Ranges must not overlap. The server allows 65,536 buckets a thousand ranges.
 */
export async function histogram(reader: Reader, copy: ShardCopyAddress, wanted: HistogramRequest): Promise<Map<number, number>> {
  const { ranges, interval, origin, signal } = wanted;
  const counts = new Map<number, number>();
  const offset = ((origin % interval) + interval) % interval;
  for (let from = 0; from < ranges.length; from += rangesAtOnce) {
    const body = {
      size: 0,
      track_total_hits: false,
      query: { bool: { filter: { bool: { should: ranges.slice(from, from + rangesAtOnce).map(rangeQuery) } } } },
      aggs: { seq_no: { histogram: { field: '_seq_no', interval, offset, min_doc_count: 1 } } },
    };
    const answer = (await searchJson(reader, copy, body, { signal })) as HistogramJson;
    for (const { key, doc_count: documents } of answer.aggregations?.seq_no?.buckets ?? []) {
      counts.set(key, (counts.get(key) ?? 0) + documents);
    }
  }
  return counts;
}
type HistogramJson = { aggregations?: { seq_no?: { buckets?: { key: number; doc_count: number }[] } } };

type HitsJson = { hits?: { hits?: { _id?: string; _seq_no?: number; sort?: number[] }[] } };

/** The sequence numbers of the live documents of a range, rising. */
export async function sequenceNumbersIn(
  reader: Reader,
  copy: ShardCopyAddress,
  range: SeqRange,
  signal?: AbortSignal,
): Promise<number[]> {
  const found: number[] = [];
  for (let after = range.after; after < range.upTo;) {
    const body = {
      size: seqNosAtOnce,
      query: rangeQuery({ after, upTo: range.upTo }),
      sort: bySeqNo,
      stored_fields: '_none_',
      track_total_hits: false,
    };
    const hits = ((await searchJson(reader, copy, body, { signal })) as HitsJson).hits?.hits ?? [];
    for (const hit of hits) {
      const seqNo = hit.sort?.[0];
      if (seqNo === undefined || seqNo <= after) throw answerInvalid('a list of sequence numbers', new Error(`seq_no ${seqNo}`));
      found.push(seqNo);
      after = seqNo;
    }
    if (hits.length < seqNosAtOnce) break;
  }
  return found;
}

/** The sequence number at which each of these ids is live; an id that is not found is absent. */
export async function findIds(
  reader: Reader,
  copy: ShardCopyAddress,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (let from = 0; from < ids.length; from += idsAtOnce) {
    const values = ids.slice(from, from + idsAtOnce);
    const body = {
      size: values.length,
      query: { ids: { values } },
      _source: false,
      seq_no_primary_term: true,
      track_total_hits: false,
    };
    const hits = ((await searchJson(reader, copy, body, { signal })) as HitsJson).hits?.hits ?? [];
    for (const { _id: id, _seq_no: seqNo } of hits) {
      if (id === undefined || seqNo === undefined)
        throw answerInvalid('a search for ids', new Error('a hit has no id or seq_no'));
      found.set(id, seqNo);
    }
  }
  return found;
}

/** Makes what was written so far visible to searches. Throws ES_SHARDS_FAILED (transient) unless every shard has done it. */
export async function refresh(client: ElasticClient, index: string, signal?: AbortSignal): Promise<void> {
  const answer = (await client.json({
    method: 'POST',
    path: indexPath(index, '_refresh'),
    repeatable: true,
    needs: 'the index privilege `maintenance`, or set --refresh passive',
    signal,
  })) as { _shards?: unknown };
  const shards = shardsFact(answer._shards);
  if (shards.failed > 0) throw shardsFailed(`the refresh of [${index}]`, shards);
}

function rangeQuery(range: SeqRange) {
  return { range: { _seq_no: { gt: range.after, lte: range.upTo } } };
}

async function searchJson(reader: Reader, copy: ShardCopyAddress, body: object, limits: Limits): Promise<unknown> {
  const bytes = await searchBytes(reader, copy, body, limits);
  let answer: { _shards?: unknown; timed_out?: boolean };
  try {
    answer = JSON.parse(bytes.toString()) as typeof answer;
  } catch (error) {
    throw answerInvalid(`a search of [${copy.index}][${copy.shard}]`, error);
  }
  checkShards(shardsFact(answer._shards), answer.timed_out !== false, copy);
  return answer;
}

async function searchBytes(reader: Reader, copy: ShardCopyAddress, body: object, limits: Limits): Promise<Buffer> {
  try {
    const answer = await reader.client.ok({
      method: 'POST',
      path: indexPath(copy.index, '_search'),
      query: { preference: preference(reader.server, copy), allow_partial_search_results: false, request_cache: false },
      body: JSON.stringify(body),
      repeatable: true,
      needs: 'the index privilege `read`',
      ...limits,
    });
    return answer.body;
  } catch (error) {
    if (error instanceof ElasticError && error.reason.includes('no data nodes with criteria')) throw shardMoved(copy, error);
    throw error;
  }
}

/**
 * Replicas lag behind a refresh under segment replication, so the primary alone is read. Elasticsearch dropped `_primary` in 7, so there
 * it is the copy on the primary's node; OpenSearch has kept it.
 */
function preference(server: Server, copy: ShardCopyAddress): string {
  return server.distribution === 'opensearch'
    ? `_shards:${copy.shard}|_primary`
    : `_shards:${copy.shard}|_only_nodes:${copy.node}`;
}

function checkShards(shards: ShardsFact, timedOut: boolean, copy: ShardCopyAddress): void {
  const whole = shards.total === 1 && shards.successful === 1 && shards.failed === 0;
  if (timedOut || !whole)
    throw shardsFailed(`a search of [${copy.index}][${copy.shard}]${timedOut ? ', which timed out' : ''}`, shards);
}

function shardsFailed(what: string, shards: ShardsFact): ElasticError {
  const message = `${what}: ${shards.successful} of ${shards.total} shards answered, ${shards.failed} failed`;
  return new ElasticError('ES_SHARDS_FAILED', shards.failures === '' ? message : `${message}: ${shards.failures.slice(0, 500)}`, {
    transient: true,
    reason: shards.failures,
    hint: 'check the health of the index and its nodes',
  });
}

function shardMoved(copy: ShardCopyAddress, cause: ElasticError): ElasticError {
  return new ElasticError('ES_SHARD_MOVED', `the primary of [${copy.index}][${copy.shard}] is no longer on node ${copy.node}`, {
    transient: true,
    status: cause.status,
    type: cause.type,
    reason: cause.reason,
    cause,
  });
}
