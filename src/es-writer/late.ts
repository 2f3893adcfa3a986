import type { Message } from '../core/strategy.ts';
import { subjectMatches } from '../core/subject.ts';
import { openFrame } from '../core/frame.ts';
import type { Scanned } from '../jetstream/index.ts';
import { commonOf, type WriteItem, type WriteLoad } from './open.ts';

/** Reads the messages on a subject from after a sequence to the stream's present end. */
type Scan = (subject: string, afterSequence: number, onMessage: (message: Message) => Promise<void>) => Promise<Scanned>;

export type LateWritesParts = {
  scan: Scan;
  /** How long a write of this index of the source may take from its first delivery, in ms: well below the target's gc_deletes. */
  horizonMs: (index: string) => number;
  /** Subjects the consumer takes; none is all. Deletes that it does not take never reach the target. */
  filterSubjects: readonly string[];
  now: () => number;
  /** Deletes remembered over all subjects; a scan that finds more is forgotten after its answer. Default 250,000. */
  deletesMax?: number;
  onScan?: (scanned: { subject: string; messages: number; tookMs: number }) => void;
};

/** What is known of the deletes on one subject: the highest version by document, of the messages between two sequences. */
type Known = { after: number; through: number; deletes: Map<string, number>; usedAt: number };

const deletesMaxDefault = 250_000;
const forgetAfterMs = 60_000;
const scansMax = 5;

/**
 * Closes the hole of forgotten deletes (D4). A target forgets the version of a delete after `index.gc_deletes`; an older write that comes
 * later than that would bring the document back. So a write that is not done within a horizon of its first delivery is late, and the stream,
 * which holds everything after an unacknowledged message, is looked through for a delete that stands after it.
 */
export class LateWrites {
  readonly #parts: LateWritesParts;
  readonly #deletesMax: number;
  readonly #known = new Map<string, Known>();
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(parts: LateWritesParts) {
    this.#parts = parts;
    this.#deletesMax = parts.deletesMax ?? deletesMaxDefault;
  }

  isLate(load: WriteLoad): boolean {
    const { op, index } = commonOf(load);
    return op !== 'delete' && this.#parts.now() - load.freshAt > this.#parts.horizonMs(index);
  }

  /** Those of the late items whose document was deleted since; the others are fresh from now on. Throws what the scan throws. */
  async deletedSince(items: readonly WriteItem[]): Promise<Set<WriteItem>> {
    const deleted = new Set<WriteItem>();
    const bySubject = Map.groupBy(items, ({ message }) => message.subject.replace(/[^.]+$/, 'delete'));
    for (const [subject, late] of bySubject) {
      if (!this.#taken(subject)) {
        for (const item of late) item.freshAt = this.#parts.now();
        continue;
      }
      for (const item of await this.#inTurn(subject, () => this.#look(subject, late))) deleted.add(item);
    }
    return deleted;
  }

  #taken(subject: string): boolean {
    const { filterSubjects } = this.#parts;
    return filterSubjects.length === 0 || filterSubjects.some((pattern) => subjectMatches(pattern, subject));
  }

  /** One scan of a subject at a time: the next one then has little left to read. */
  #inTurn<Result>(subject: string, work: () => Promise<Result>): Promise<Result> {
    const turn = (this.#turns.get(subject) ?? Promise.resolve()).then(work, work);
    const over = turn
      .catch(() => undefined)
      .finally(() => {
        if (this.#turns.get(subject) === over) this.#turns.delete(subject);
      });
    this.#turns.set(subject, over);
    return turn;
  }

  async #look(subject: string, items: readonly WriteItem[]): Promise<WriteItem[]> {
    const wanted = new Set(items.map(keyOf));
    const after = Math.min(...items.map(({ message }) => message.sequence));
    const horizonMs = Math.min(...items.map(({ event }) => this.#parts.horizonMs(event.index)));
    const { now } = this.#parts;
    let known = this.#known.get(subject);
    if (known === undefined || known.after > after) known = { after, through: after, deletes: new Map(), usedAt: 0 };
    this.#known.delete(subject);
    let whole = true;
    let startedAt = now();
    // A long scan is itself overtaken: what was published meanwhile is read too, until a look is quick enough.
    for (let scans = 0; scans < scansMax; scans++) {
      startedAt = now();
      whole = (await this.#extend(subject, known, wanted)) && whole;
      if (now() - startedAt <= horizonMs / 2) break;
    }
    const deleted = items.filter((item) => (known.deletes.get(keyOf(item)) ?? -1) > item.event.version);
    for (const item of items) item.freshAt = startedAt;
    if (whole) this.#remember(subject, known);
    return deleted;
  }

  /** Reads on from where it was left. False when there were too many deletes to keep: then only those asked for are complete. */
  async #extend(subject: string, known: Known, wanted: ReadonlySet<string>): Promise<boolean> {
    const startedAt = this.#parts.now();
    let whole = true;
    const { scanned, lastSequence } = await this.#parts.scan(subject, known.through, async (message) => {
      for (const event of await openFrame(message).catch(() => [])) {
        const key = documentKey(event.id, event.routing);
        const before = known.deletes.get(key);
        if (before === undefined && known.deletes.size >= this.#deletesMax && !wanted.has(key)) whole = false;
        else if (before === undefined || before < event.version) known.deletes.set(key, event.version);
      }
    });
    known.through = Math.max(known.through, lastSequence);
    this.#parts.onScan?.({ subject, messages: scanned, tookMs: this.#parts.now() - startedAt });
    return whole;
  }

  #remember(subject: string, known: Known): void {
    const now = this.#parts.now();
    known.usedAt = now;
    let total = known.deletes.size;
    // The most recently used stand last.
    for (const [other, { deletes, usedAt }] of [...this.#known].toReversed()) {
      total += deletes.size;
      if (total > this.#deletesMax || usedAt + forgetAfterMs < now) this.#known.delete(other);
    }
    this.#known.set(subject, known);
  }
}

function documentKey(id: string, routing: string | undefined): string {
  return routing === undefined ? id : `${id}\0${routing}`;
}

function keyOf({ event }: WriteItem): string {
  return documentKey(event.id, event.routing);
}
