import { ChangeBlock } from '../core/change-block.ts';
import {
  type DocumentSpans,
  numbersEach,
  primaryTermNumber,
  seqNoNumber,
  sourceSpan,
  spansEach,
  tsNumber,
  versionNumber,
} from '../core/document-spans.ts';
import { GatewayError } from '../core/errors.ts';
import type { ChangeEvent } from '../core/event.ts';
import { writeVersion } from '../core/version.ts';
import type { Deletion, Incarnation } from './checkpoint.ts';

/** Where and when the events of one reading come from. */
export type Reading = { tenant: string; now: () => number };

/** The changes that documents read amount to, in their order: first versions, then later ones. Throws INDEX_WITHOUT_SOURCE. */
export function writeBlocksOf(reading: Reading, incarnation: Incarnation, hits: DocumentSpans): ChangeBlock[] {
  const ts = reading.now();
  const numbers = new Float64Array(hits.length * numbersEach);
  const updates: number[] = [];
  for (let row = 0; row < hits.length; row++) {
    if (hits.spans[row * spansEach + sourceSpan + 1] === 0) throw withoutSource(incarnation.name);
    const at = row * numbersEach;
    const seqNo = hits.numbers[at + seqNoNumber]!;
    if (hits.numbers[at + versionNumber] !== 1) updates.push(row);
    numbers[at + versionNumber] = writeVersion(incarnation.epoch, seqNo);
    numbers[at + seqNoNumber] = seqNo;
    numbers[at + primaryTermNumber] = hits.numbers[at + primaryTermNumber]!;
    numbers[at + tsNumber] = ts;
  }
  const { tenant } = reading;
  const index = incarnation.name;
  const documents = hits.withNumbers(numbers);
  if (updates.length === 0) return [new ChangeBlock({ tenant, index, op: 'index' }, documents)];
  const updated = new ChangeBlock({ tenant, index, op: 'update' }, documents.select(updates));
  if (updates.length === hits.length) return [updated];
  const later = new Set(updates);
  const first = Array.from({ length: hits.length }, (_, row) => row).filter((row) => !later.has(row));
  return [new ChangeBlock({ tenant, index, op: 'index' }, documents.select(first)), updated];
}

function withoutSource(index: string): GatewayError {
  return new GatewayError('INDEX_WITHOUT_SOURCE', `a document of the index ${index} has no _source`, {
    hint: `exclude it with --index-patterns (INDEX_PATTERNS) "-${index}"`,
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
