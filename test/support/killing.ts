import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from './random.ts';

/** Something that can be ended at once and started again. */
export type Victim = { name: string; kill(): Promise<void>; start(): Promise<void> };

export type KillingOptions = {
  random: Random;
  /** Started again in this order, where several are killed at once. */
  victims: readonly Victim[];
  kills: number;
  /** Ends it sooner. */
  signal?: AbortSignal;
  /** Bounds of the time between a restart and the next kill, and between a kill and the restart, in ms. */
  betweenMs: readonly [number, number];
  downMs: readonly [number, number];
  /** Called right before and right after each kill: creates documents and deletes half of them. */
  around: () => Promise<void>;
};

/** Kills at random moments. Which victim, when, and for how long follows from the seed. Returns the kills by victim. */
export async function killAtRandom(options: KillingOptions): Promise<Map<string, number>> {
  const { random } = options;
  const kills = new Map<string, number>();
  for (let i = 0; i < options.kills; i++) {
    await pause(random.between(...options.betweenMs), undefined, { signal: options.signal }).catch(() => undefined);
    if (options.signal?.aborted === true) break;
    // Two at once now and then: the watcher's and the stream's memories of what they had in common are then lost together.
    const first = random.pick(options.victims);
    const second = random.chance(0.2) ? random.pick(options.victims) : first;
    const victims = options.victims.filter((victim) => victim === first || victim === second);
    await options.around();
    await Promise.all(victims.map((victim) => victim.kill()));
    const after = options.around();
    await pause(random.between(...options.downMs));
    for (const victim of victims) {
      await victim.start();
      kills.set(victim.name, (kills.get(victim.name) ?? 0) + 1);
    }
    await after;
  }
  return kills;
}
