import { GatewayError } from '../core/errors.ts';
import type { ChangeEvent } from '../core/event.ts';
import { writeVersion } from '../core/version.ts';
import type { Hit } from '../elastic/index.ts';
import type { Deletion, Incarnation } from './checkpoint.ts';

/** Where and when the events of one reading come from. */
export type Reading = { tenant: string; now: () => number };

/** The events of documents read, in their order. Throws INDEX_WITHOUT_SOURCE. */
export function writeEventsOf(reading: Reading, incarnation: Incarnation, hits: readonly Hit[]): ChangeEvent[] {
  const ts = reading.now();
  return hits.map((hit) => {
    if (hit.source === undefined) {
      throw new GatewayError('INDEX_WITHOUT_SOURCE', `a document of the index ${incarnation.name} has no _source`, {
        hint: `exclude it with --index-patterns (INDEX_PATTERNS) "-${incarnation.name}"`,
      });
    }
    const event: ChangeEvent = {
      tenant: reading.tenant,
      index: incarnation.name,
      id: hit.id,
      op: hit.version === 1 ? 'index' : 'update',
      version: writeVersion(incarnation.epoch, hit.seqNo),
      seqNo: hit.seqNo,
      primaryTerm: hit.primaryTerm,
      ts,
      source: hit.source,
    };
    if (hit.routing !== undefined) event.routing = hit.routing;
    return event;
  });
}

/** The events of deletes found. The primary term of a delete is not known from outside: 0. */
export function deleteEventsOf(reading: Reading, index: string, deletions: readonly Deletion[]): ChangeEvent[] {
  const ts = reading.now();
  return deletions.map((deletion) => {
    const { id, seqNo, version } = deletion;
    const event: ChangeEvent = { tenant: reading.tenant, index, id, op: 'delete', version, seqNo, primaryTerm: 0, ts };
    if (deletion.routing !== undefined) event.routing = deletion.routing;
    return event;
  });
}
