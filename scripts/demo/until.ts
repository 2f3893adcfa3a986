import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again until the answer is neither false nor undefined, and returns it. Throws after `withinMs` (default two minutes). */
export async function until<Answer>(
  what: string,
  ask: () => Answer | false | undefined | Promise<Answer | false | undefined>,
  { withinMs = 120_000, everyMs = 100 }: { withinMs?: number; everyMs?: number } = {},
): Promise<Answer> {
  const deadline = performance.now() + withinMs;
  while (true) {
    const answer = await ask();
    if (answer !== false && answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`waited ${Math.round(withinMs / 1000)} s in vain for ${what}`);
    await sleep(everyMs);
  }
}
