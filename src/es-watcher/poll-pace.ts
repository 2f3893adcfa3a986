/** Longest share of the time since the last change that is waited between two polls. */
const shareOfQuiet = 1 / 50;
/** A poll is followed by a pause of at least this many times its own duration, so that a large or distant cluster is not asked all the time. */
const pausesPerPoll = 2;
/** A poll that is answered sooner costs a cluster next to nothing, and the pause would be most of what a change waits. */
const cheapPollMs = 5;
const leastPauseMs = 1;

/**
 * How long to wait before the next poll. Where changes come one after another, soon: the wait is a fiftieth of the quiet before it, which a
 * change then waits on average a hundredth of. Where nothing happens, as long as the setting says.
 */
export class PollPace {
  readonly #intervalMs: number;
  #foundAt = Number.NEGATIVE_INFINITY;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** A poll has found something to read. */
  found(now: number): void {
    this.#foundAt = now;
  }

  /** Ms from the end of a poll to the beginning of the next. */
  pauseMs(now: number, pollTookMs: number): number {
    const least = pollTookMs < cheapPollMs ? leastPauseMs : pollTookMs * pausesPerPoll;
    return Math.min(this.#intervalMs, Math.max((now - this.#foundAt) * shareOfQuiet, least));
  }
}
