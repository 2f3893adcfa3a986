import type { PrimaryShard } from '../elastic/index.ts';

type Waiting = { upTo: number; readBy: number; total: number; timeMs: number; unchangedAt: number };

/** Clocks and counters are in whole ms. */
const roundingMs = 5;
/** A shard with changes that is searched refreshes once an interval: after ten and a minute none can be left behind. */
const intervalsMax = 10;
const graceMs = 60_000;
const touchEveryMs = 1_000;

/**
 * Tells, without asking for a refresh, when everything up to a global checkpoint is visible to search: once a refresh has surely begun
 * after the checkpoint was read. The counter tells how many have ended and how long they took; it counts only those that found something
 * new, so on an index that has gone quiet a second one never comes.
 */
export class PassiveRefresh {
  #waiting: Waiting | undefined;
  #touchedAt = 0;

  /**
   * Takes in one look at the shard, asked for at `askedAt` and answered at `now`. The checkpoint up to which everything is visible, once
   * that is certain. `intervalMs` is `index.refresh_interval`, not above 0 where it is off.
   */
  see(primary: PrimaryShard, askedAt: number, now: number, intervalMs: number): number | undefined {
    const total = primary.refreshTotal ?? 0;
    const timeMs = primary.refreshTimeMs ?? 0;
    const waiting = this.#waiting;
    // A node that was restarted counts from zero again.
    if (waiting === undefined || total < waiting.total) {
      this.#waiting = { upTo: primary.globalCheckpoint, readBy: now, total, timeMs, unchangedAt: askedAt };
      return undefined;
    }
    if (total === waiting.total) {
      waiting.unchangedAt = askedAt;
      return this.#patienceEnded(waiting, now, intervalMs);
    }
    const begunAt = waiting.unchangedAt - (timeMs - waiting.timeMs) - roundingMs;
    if (total >= waiting.total + 2 || begunAt > waiting.readBy) return this.#visible(waiting);
    return this.#patienceEnded(waiting, now, intervalMs);
  }

  /** Whether a search should be sent: a shard that nobody searches stops refreshing by itself. */
  wantsTouch(now: number): boolean {
    if (this.#waiting === undefined || now - this.#waiting.readBy < touchEveryMs || now - this.#touchedAt < touchEveryMs)
      return false;
    this.#touchedAt = now;
    return true;
  }

  reset(): void {
    this.#waiting = undefined;
  }

  #patienceEnded(waiting: Waiting, now: number, intervalMs: number): number | undefined {
    return intervalMs > 0 && now - waiting.readBy > intervalMs * intervalsMax + graceMs ? this.#visible(waiting) : undefined;
  }

  #visible(waiting: Waiting): number {
    this.#waiting = undefined;
    return waiting.upTo;
  }
}
