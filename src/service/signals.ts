/** Exit codes of a program ended by a signal are 128 and its number, as a shell reports them. */
const NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;

export type StopSignal = keyof typeof NUMBERS;

/**
 * Resolves at the first SIGTERM or SIGINT, after aborting `stopping`; a second one exits at once.
 * Hand-written, as the usual packages also take SIGSEGV and the like, and exit with 1 at a second signal.
 */
export function firstSignal(stopping: AbortController, onSecond: (signal: StopSignal) => void): Promise<StopSignal> {
  return new Promise((resolve) => {
    const take = (signal: StopSignal) => {
      if (stopping.signal.aborted) {
        onSecond(signal);
        process.exit(128 + NUMBERS[signal]);
      }
      stopping.abort();
      resolve(signal);
    };
    process.on('SIGTERM', take);
    process.on('SIGINT', take);
  });
}
