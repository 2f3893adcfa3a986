import type { Habits } from './client.ts';
import type { Comparison } from './compare.ts';
import { killAtRandom, type Victim } from './killing.ts';
import { preparePlans, removePlans, standardPlans } from './plans.ts';
import type { Random } from './random.ts';
import { Rig } from './rig.ts';
import { freshNats } from './servers.ts';
import type { Tally } from './tally.ts';
import { Workload } from './workload.ts';

export type RoundOptions = {
  random: Random;
  /** Begins the names of the round's indices. */
  prefix: string;
  source: string;
  target: string;
  clients: number;
  /** Ends the workload after so many operations; without it, it ends with the last kill. */
  operations?: number;
  perSecond?: number;
  kills: number;
  betweenKillsMs: readonly [number, number];
  habits?: Partial<Habits>;
  idsEach?: number;
  targetShards?: number;
  watcherFlags?: readonly string[];
  exactWithinMs?: number;
};

export type Round = { tally: Tally; killed: ReadonlyMap<string, number>; comparison: Comparison };

export function victimsOf(rig: Rig, nats: Awaited<ReturnType<typeof freshNats>>): Victim[] {
  return [
    { name: 'nats-server', kill: () => nats.kill('SIGKILL'), start: () => nats.restart().then(() => rig.revive()) },
    { name: 'es-watcher', kill: () => rig.watcher.kill(), start: async () => rig.revive() },
    { name: 'es-writer', kill: () => rig.writer.kill(), start: async () => rig.revive() },
  ];
}

/**
 * A workload while watcher, writer and nats-server are killed by SIGKILL at random moments, then the comparison of all documents. Throws
 * what differs, error lines in the logs, and refusals of the source.
 */
export async function faultRound(options: RoundOptions): Promise<Round> {
  const { random, prefix, source, target } = options;
  const nats = await freshNats();
  const writerFlags = ['--ack-wait=3s'];
  const { watcherFlags = [] } = options;
  const rig = new Rig({ random, prefix, source, target, nats: nats.url, writerFlags, watcherFlags });
  const { opensearch, number } = await rig.source.version();
  const streams = opensearch || !number.startsWith('7.');
  const plans = standardPlans(prefix, { streams, ...(options.idsEach === undefined ? {} : { idsEach: options.idsEach }) });
  try {
    await preparePlans(rig.source, rig.target, plans, options.targetShards);
    await rig.start();
    const { clients, operations, perSecond, habits } = options;
    const workload = new Workload({
      cluster: rig.source,
      random: random.fork('workload'),
      plans,
      clients,
      ...(operations === undefined ? {} : { operations }),
      ...(perSecond === undefined ? {} : { perSecond }),
      ...(habits === undefined ? {} : { habits }),
    });
    const done = new AbortController();
    const working = workload.run().finally(() => done.abort());
    // A refusal of the workload is reported below; meanwhile the killing goes on.
    working.catch(() => undefined);
    const killed = await killAtRandom({
      random: random.fork('kills'),
      victims: victimsOf(rig, nats),
      kills: options.kills,
      betweenMs: options.betweenKillsMs,
      downMs: [0, 600],
      around: () => workload.burst(30),
      ...(operations === undefined ? {} : { signal: done.signal }),
    });
    if (operations === undefined) workload.stop();
    const tally = await working;
    if (tally.refusals.size > 0)
      throw new Error(`the source refused what it should take:\n${[...tally.refusals.keys()].join('\n')}`);
    rig.revive();
    await rig.ready();
    const comparison = await rig.untilExact({ withinMs: options.exactWithinMs ?? 180_000 });
    // A program that starts while nats-server is down says so and ends: whoever runs it starts it again.
    rig.assertQuiet(['NATS_UNREACHABLE']);
    return { tally, killed, comparison };
  } finally {
    await rig.stop();
    await Promise.all([removePlans(rig.source, plans), removePlans(rig.target, plans), nats.stop()]);
    await rig.close();
  }
}
