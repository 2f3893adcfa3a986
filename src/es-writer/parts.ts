import { BulkWriter, GcDeletes } from '../elastic/index.ts';
import { acknowledgedBefore, type DeadLetters, scanSubject } from '../jetstream/index.ts';
import type { WriterSettings } from './config.ts';
import { Drops } from './drops.ts';
import type { IndexNames } from '../core/index-names.ts';
import { LateWrites } from './late.ts';
import type { Observer } from './observer.ts';
import type { Peers } from './peers.ts';
import { Target } from './target.ts';

/** What the parts beside the pump are made of. */
export type Kit = { settings: WriterSettings; peers: Peers; names: IndexNames; observer: Observer };

const dropsEveryMs = 250;

/** Where batches of changes go. `signal` ends a look through the stream. */
export function openTarget({ settings, peers, names, observer }: Kit, signal: AbortSignal): Target {
  const { client, link } = peers;
  const { stream, filterSubjects, bulkBytesMax, esTimeout, gcDeletes } = settings;
  const targetOf = (index: string): string => names.target(index).name;
  // With 0 nothing is raised, and what there is is still read: late.ts must know it.
  const gc = new GcDeletes({ client, wantedMs: gcDeletes, onFact: (fact) => observer.gcDeletes(fact) });
  const writer = new BulkWriter({
    client,
    indexOf: targetOf,
    bodyBytesMax: bulkBytesMax,
    timeoutMs: esTimeout,
    gcDeletes: gc,
    onBulk: (bulk) => observer.bulk(bulk),
  });
  const late = new LateWrites({
    scan: (subject, afterSequence, onMessage) => scanSubject(link, { stream, subject, afterSequence, onMessage, signal }),
    horizonMs: (index) => observer.gcDeletesOf(targetOf(index)) / 2,
    filterSubjects,
    now: Date.now,
    onScan: (scanned) => observer.scanned(scanned),
  });
  return new Target({
    writer,
    late,
    prepare: (indices) => gc.ensure([...indices].map(targetOf)),
    hosts: client.hosts,
    onOutcomes: (items, outcomes) => observer.outcomes(items, outcomes),
    onLate: (counts) => observer.late(counts),
  });
}

/** What carries out the ends of indices. */
export function openDrops({ settings, peers, names, observer }: Kit, letters: DeadLetters): Drops {
  const { client, link } = peers;
  const { stream, consumer, ackWait, filterSubjects } = settings;
  const about = 'index deletes';
  return new Drops({
    client,
    names,
    allBefore: (sequence) => acknowledgedBefore(link, { stream, consumer, filterSubjects }, sequence),
    deadLetter: async (letter, message, refusal) => {
      observer.refused({ subject: message.subject }, refusal);
      await letters.keep(letter, message, refusal);
      observer.deadLetter(refusal);
      observer.trouble(about, undefined);
    },
    onDropped: ({ index }, target) => {
      observer.trouble(about, undefined);
      observer.dropped(index, target);
    },
    onTrouble: (error) => observer.trouble(about, error),
    everyMs: dropsEveryMs,
    workingEveryMs: Math.ceil(ackWait / 3),
  });
}
