import type { BlockHeader } from './block-header.ts';
import type { BlockName } from './key.ts';
import type { OpenedPart } from './part.ts';
import type { PartFacts } from './part-facts.ts';
import { mayMatch } from './subjects.ts';
import { subjectMatches } from '../core/subject.ts';
import { splitTime } from './time.ts';

/** Which messages of a stream's archive. */
export type Selection = {
  /** Default: blocks without a prefix. */
  prefix?: string | undefined;
  stream: string;
  /** Default: of all jobs; a message that several have stored comes once. */
  jobs?: readonly string[] | undefined;
  /** One life of the stream only, as `BlockHeader.streamCreated`. Default: all, the oldest first. */
  streamCreated?: string | undefined;
  /** Both included. */
  fromSequence?: number | undefined;
  toSequence?: number | undefined;
  /** In ns since 1970; `to` is the first that is left out. */
  from?: bigint | undefined;
  to?: bigint | undefined;
  /** NATS patterns, one of which is to match. Default: all. */
  subjects?: readonly string[] | undefined;
};

type Moment = { timestamp: number; nanos: number };

/** Decides by keys, headers and footers what need not be read, and by columns what need not be touched. */
export class MessageFilter {
  readonly #selection: Selection;
  readonly #subjects: readonly string[];
  readonly #fromSequence: number;
  readonly #toSequence: number;
  readonly #from: Moment | undefined;
  readonly #to: Moment | undefined;

  constructor(selection: Selection) {
    this.#selection = selection;
    this.#subjects = selection.subjects ?? [];
    this.#fromSequence = selection.fromSequence ?? 0;
    this.#toSequence = selection.toSequence ?? Number.POSITIVE_INFINITY;
    this.#from = selection.from === undefined ? undefined : splitTime(selection.from);
    this.#to = selection.to === undefined ? undefined : splitTime(selection.to);
  }

  mayHoldByName({ job, firstSequence, lastSequence }: BlockName): boolean {
    const { jobs } = this.#selection;
    return (jobs === undefined || jobs.includes(job)) && firstSequence <= this.#toSequence && lastSequence >= this.#fromSequence;
  }

  /** For a block by its header, for a part by its line in the footer. */
  mayHold(facts: PartFacts | BlockHeader): boolean {
    const { from, to, streamCreated } = this.#selection;
    if ('streamCreated' in facts && (streamCreated ?? facts.streamCreated) !== facts.streamCreated) return false;
    if (facts.firstSequence > this.#toSequence || facts.lastSequence < this.#fromSequence) return false;
    if ((from !== undefined && facts.lastTime < from) || (to !== undefined && facts.firstTime >= to)) return false;
    return mayMatch(facts.subjects, this.#subjects);
  }

  /** The wanted messages of a part, in order. */
  rows(part: OpenedPart): number[] {
    const wanted = part.subjects.map(
      (subject) => this.#subjects.length === 0 || this.#subjects.some((p) => subjectMatches(p, subject)),
    );
    const rows: number[] = [];
    for (let at = 0; at < part.messages; at++) {
      const sequence = part.sequence(at);
      if (sequence < this.#fromSequence || sequence > this.#toSequence || wanted[part.subjectNumber(at)] !== true) continue;
      if (this.#from !== undefined && isBefore(part, at, this.#from)) continue;
      if (this.#to !== undefined && !isBefore(part, at, this.#to)) continue;
      rows.push(at);
    }
    return rows;
  }
}

function isBefore(part: OpenedPart, at: number, moment: Moment): boolean {
  const timestamp = part.timestamp(at);
  return timestamp < moment.timestamp || (timestamp === moment.timestamp && part.nanos(at) < moment.nanos);
}
