import type { ChangeEvent, DocumentOperation } from '../../src/core/event.ts';
import { type FrameLimits, packFrames } from '../../src/core/frame.ts';
import { deleteVersion, writeVersion } from '../../src/core/version.ts';
import { documentText } from './documents.ts';
import { idPool } from './ids.ts';
import type { Random } from './random.ts';

export type History = {
  events: ChangeEvent[];
  /** What a target must hold in the end: raw text by id and routing (`documentKey`). */
  expected: Map<string, string>;
};

const epoch = 1_763_700_000_000;

export function documentKey(id: string, routing: string | undefined): string {
  return `${id}\0${routing ?? ''}`;
}

/** What a watcher would publish of an index with so many operations: odd ids, routings, deletes and documents that come back. */
export function makeHistory(random: Random, index: string, operations: number): History {
  const ids = idPool(Math.ceil(operations / 3), true);
  const events: ChangeEvent[] = [];
  const expected = new Map<string, string>();
  for (let seqNo = 0; seqNo < operations; seqNo++) {
    const at = random.between(0, ids.length - 1);
    // A document keeps its routing; every fifth has one.
    const routing = at % 5 === 0 ? `route ${at % 7}` : undefined;
    const key = documentKey(ids[at]!, routing);
    const known = expected.has(key);
    const common = { tenant: 'acme', index, id: ids[at]!, seqNo, primaryTerm: 1, ts: Date.now() };
    const event = { ...common, ...(routing === undefined ? {} : { routing }) };
    if (known && random.chance(0.3)) {
      events.push({ ...event, op: 'delete', version: deleteVersion(epoch, seqNo) });
      expected.delete(key);
    } else {
      const text = documentText(random.fork(String(seqNo))).replaceAll(/[\r\n]/g, ' ');
      events.push({ ...event, op: known ? 'update' : 'index', version: writeVersion(epoch, seqNo), source: Buffer.from(text) });
      expected.set(key, text);
    }
  }
  return { events, expected };
}

/** The events in frames as a careless publisher would send them: in almost any order, some twice. */
export function scattered(random: Random, events: readonly ChangeEvent[], limits: FrameLimits) {
  const byOperation = new Map<DocumentOperation, ChangeEvent[]>();
  for (const event of events) byOperation.set(event.op, [...(byOperation.get(event.op) ?? []), event]);
  const frames = [...byOperation].flatMap(([operation, of]) =>
    [...packFrames(of, limits)].map((frame) => ({ operation, frame })),
  );
  const all = [...frames, ...frames.filter(() => random.chance(0.15))];
  for (let at = all.length - 1; at > 0; at--) {
    const other = random.between(0, at);
    [all[at], all[other]] = [all[other]!, all[at]!];
  }
  return all;
}
