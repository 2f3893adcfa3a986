/** Time handed in, so that a test decides when it passes. */
export type Clock = {
  /** ms since 1970. */
  now: () => number;
  /** Calls once after `delayMs`; the answer takes the call back. */
  after: (delayMs: number, call: () => void) => () => void;
};

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`. */
export function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve));
}
