import { joinTime } from './time.ts';

/** What the index of a block says of a part, but for its place. */
export type PartFacts = {
  messages: number;
  firstSequence: number;
  lastSequence: number;
  /** The least and the greatest time, in ns since 1970. */
  firstTime: bigint;
  lastTime: bigint;
  /** Patterns that cover all of its subjects. */
  subjects: readonly string[];
};

/** What a part's line in the footer says of its subjects. */
export const subjectsOfPart = { patternsMax: 64, bytesMax: 4_096 };

/** The least and the greatest time: a stream's clock may be set back. */
export class TimeSpan {
  #first = { ms: 0, nanos: 0 };
  #last = { ms: 0, nanos: 0 };

  include(ms: number, nanos: number, isFirst: boolean): void {
    if (isFirst || ms < this.#first.ms || (ms === this.#first.ms && nanos < this.#first.nanos)) set(this.#first, ms, nanos);
    if (isFirst || ms > this.#last.ms || (ms === this.#last.ms && nanos > this.#last.nanos)) set(this.#last, ms, nanos);
  }

  get firstTime(): bigint {
    return joinTime(this.#first.ms, this.#first.nanos);
  }

  get lastTime(): bigint {
    return joinTime(this.#last.ms, this.#last.nanos);
  }
}

function set(time: { ms: number; nanos: number }, ms: number, nanos: number): void {
  time.ms = ms;
  time.nanos = nanos;
}
