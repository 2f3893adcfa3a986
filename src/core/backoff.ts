/** Chance, handed in so that a run can be replayed: uniform in [0, 1). */
export type Chance = () => number;

export type BackoffLimits = { minMs: number; maxMs: number };

/** Pause before the given try (1 = first retry): doubling, bounded, with "equal" jitter so that a fleet does not return in step. */
export function backoffMs(attempt: number, limits: BackoffLimits, chance: Chance = Math.random): number {
  const ceiling = Math.min(limits.maxMs, limits.minMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(ceiling / 2 + (ceiling / 2) * chance());
}

/** Sleeps, or wakes early without an error when the signal is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener('abort', finish, { once: true });
  });
}
