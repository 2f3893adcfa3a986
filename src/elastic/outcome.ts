import type { Outcome } from '../core/strategy.ts';
import { answerInvalid } from './errors.ts';

/** Asks for what `readBulkAnswer` reads, and no more: a third of the bytes. Every item keeps its status, so that none moves up. */
export const bulkFilterPath =
  'took,errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.type,items.*.error.caused_by.reason';

type ItemError = { type?: string; reason?: string; caused_by?: { type?: string; reason?: string } };
type Item = { status?: number; error?: ItemError };
type BulkJson = { items?: Record<string, Item>[] };

/** Failures that pass by themselves, whatever status they come with. */
const passing = new Set([
  'circuit_breaking_exception',
  'cluster_block_exception',
  'es_rejected_execution_exception',
  'no_shard_available_action_exception',
  'node_closed_exception',
  'node_disconnected_exception',
  'node_not_connected_exception',
  'opensearch_rejected_execution_exception',
  'primary_missing_action_exception',
  'process_cluster_event_timeout_exception',
  'rejected_execution_exception',
  'resource_already_exists_exception',
  'retry_on_primary_exception',
  'shard_not_in_primary_mode_exception',
  'unavailable_shards_exception',
]);

/** What became of each of the `count` documents of a `_bulk` request, in order. Throws ES_ANSWER_INVALID for any other number of them. */
export function readBulkAnswer(body: Buffer, count: number): Outcome[] {
  if (isFreeOfErrors(body) && countItems(body) === count) return Array.from({ length: count }, () => stored);
  let items: Record<string, Item>[];
  try {
    items = (JSON.parse(body.toString()) as BulkJson).items ?? [];
    if (items.length !== count) throw new SyntaxError(`it has ${items.length} items for ${count} documents`);
  } catch (error) {
    throw answerInvalid('the answer to a bulk request', error);
  }
  return items.map((item) => {
    const isDelete = item['delete'] !== undefined;
    return outcomeOf(isDelete, item['delete'] ?? item['index']);
  });
}

/** `took` and `errors` come first, in one order or the other; what stands behind them is not looked at. */
function isFreeOfErrors(body: Buffer): boolean {
  return /^\{(?:"took":\d+,)?"errors":false[,}]/.test(body.toString('latin1', 0, errorsWithin));
}
const errorsWithin = 64;

/** Where there are no errors, each item is an object that holds another: `{"index":{"status":201}}`. */
function countItems(body: Buffer): number {
  let opened = 0;
  for (let at = 0; at < body.length; at++) if (body[at] === 0x7b) opened++;
  return (opened - 1) / 2;
}

/**
 * Two bulk requests have met a new field at once and would map it in different ways: the second one loses, and finds the field mapped when it
 * tries again. A document that contradicts itself is told the same each time.
 */
const mappingRace = /cannot be changed from type|can't merge a non.?object mapping/;
const mappingTries = 3;

const stored: Outcome = { is: 'stored' };
const stale: Outcome = { is: 'stale' };

function outcomeOf(isDelete: boolean, item: Item | undefined): Outcome {
  const { status, error } = item ?? {};
  if (status === undefined) return { is: 'busy', status: 0, reason: 'the cluster said nothing about this document' };
  if (error === undefined) {
    // A delete of what is not there is `not_found`, and leaves its version behind like any other.
    return status < 300 || (isDelete && status === 404) ? stored : { is: 'busy', status, reason: `status ${status}` };
  }
  const type = error.type ?? '';
  if (status === 409 && type === 'version_conflict_engine_exception') return stale;
  const reason = reasonText(error);
  if (status === 429 || status >= 500 || passing.has(type)) return { is: 'busy', status, reason: `${type}: ${reason}` };
  const refusal = { status, type, reason };
  if (mappingRace.test(reason))
    return { is: 'busy', status, reason: `${type}: ${reason}`, atLast: { tries: mappingTries, refusal } };
  return { is: 'refused', refusal };
}

function reasonText({ reason = '', caused_by: cause }: ItemError): string {
  if (cause?.reason === undefined || reason.includes(cause.reason)) return reason;
  return `${reason} (${cause.type ?? 'cause'}: ${cause.reason})`;
}
