import { setTimeout as pause } from 'node:timers/promises';

export type UntilOptions = { withinMs: number; everyMs?: number; signal?: AbortSignal | undefined };

/**
 * Asks until the answer is neither undefined nor false, and gives it back. A question that throws is asked again; the last
 * refusal is part of the error after `withinMs`.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  options: UntilOptions,
): Promise<T> {
  const deadline = Date.now() + options.withinMs;
  for (;;) {
    let reason = '';
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      reason = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    options.signal?.throwIfAborted();
    if (Date.now() > deadline) throw new Error(`${what} did not come within ${options.withinMs / 1000} s${reason}`);
    await pause(options.everyMs ?? 50);
  }
}

/** Thrown by a question to say that asking again is of no use. */
export class Hopeless extends Error {}
