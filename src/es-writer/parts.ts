import { BulkWriter, type GcDeletes } from '../elastic/index.ts';
import { acknowledgedBefore, type DeadLetters, scanSubject } from '../jetstream/index.ts';
import type { WriterSettings } from './config.ts';
import { Drops } from './drops.ts';
import type { IndexNames } from '../core/index-names.ts';
import { LateWrites } from './late.ts';
import type { Observer } from './observer.ts';
import type { Peers } from './peers.ts';
import { Target } from './target.ts';

/** What the parts beside the pump are made of. */
export type Kit = { settings: WriterSettings; peers: Peers; names: IndexNames; observer: Observer; gcDeletes: GcDeletes };

const dropsEveryMs = 250;

/** Where batches of changes go. `signal` ends a look through the stream. */
export function openTarget({ settings, peers, names, observer, gcDeletes }: Kit, signal: AbortSignal): Target {
  const { client, link } = peers;
  const { stream, filterSubjects, bulkBytesMax, esTimeout } = settings;
  const targetOf = (index: string): string => names.target(index).name;
  const writer = new BulkWriter({
    client,
    indexOf: targetOf,
    bodyBytesMax: bulkBytesMax,
    timeoutMs: esTimeout,
    gcDeletes,
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
    prepare: (indices) => gcDeletes.ensure([...indices].map(targetOf)),
    hosts: client.hosts,
    onOutcomes: (items, outcomes) => observer.outcomes(items, outcomes),
    onLate: (counts) => observer.late(counts),
  });
}

/** What carries out the ends of indices. */
export function openDrops({ settings, peers, names, observer, gcDeletes }: Kit, letters: DeadLetters): Drops {
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
      gcDeletes.forget(target);
      observer.dropped(index, target);
    },
    onTrouble: (error) => observer.trouble(about, error),
    everyMs: dropsEveryMs,
    workingEveryMs: Math.ceil(ackWait / 3),
  });
}
