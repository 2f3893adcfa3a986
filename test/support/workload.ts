import { setTimeout as pause } from 'node:timers/promises';
import { Client, usualHabits, type Habits } from './client.ts';
import type { Cluster } from './cluster.ts';
import type { IndexPlan } from './plans.ts';
import type { Random } from './random.ts';
import { Tally } from './tally.ts';
import { until } from './until.ts';

export type WorkloadOptions = {
  cluster: Cluster;
  random: Random;
  plans: readonly IndexPlan[];
  clients: number;
  /** Ends after so many confirmed operations; without it, with `stop()`. */
  operations?: number;
  /** At most so many operations a second, on average. */
  perSecond?: number;
  habits?: Partial<Habits>;
  /** False: no document of 300 KB or 3 MB but those that chance brings. Default true: one of each first. */
  large?: boolean;
  /** True where the cluster is killed or cut off: a broken request is counted, and the client waits until somebody answers. */
  tolerant?: boolean;
};

const backWithinMs = 120_000;

/** Several clients that change a cluster's documents at random, at once. */
export class Workload {
  readonly tally = new Tally();
  readonly #options: WorkloadOptions;
  readonly #clients: Client[];
  /** Not in the pool: whoever calls `burst` must not disturb a client's own sequence. */
  readonly #guest: Client;
  readonly #stop = new AbortController();
  #startedAt = 0;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    const habits = { ...usualHabits, ...options.habits };
    const part = options.random.seed.split('/').at(-1);
    const client = (name: string): Client =>
      new Client(`${part}-${name}`, options.cluster, options.random.fork(name), options.plans, this.tally, habits);
    this.#clients = Array.from({ length: options.clients }, (_, i) => client(`client${i}`));
    this.#guest = client('guest');
  }

  /** Resolves when the work is done; throws when the cluster refused what it should have taken. */
  async run(): Promise<Tally> {
    this.#startedAt = Date.now();
    if (this.#options.large !== false) await this.#act(() => this.#guest.writeLarge());
    await Promise.all(this.#clients.map((client) => this.#work(client)));
    return this.tally;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Creates so many documents now and deletes every other one at once. */
  async burst(size: number): Promise<void> {
    await this.#act(() => this.#guest.burst(size));
  }

  async #work(client: Client): Promise<void> {
    const { operations = Infinity } = this.#options;
    while (!this.#stop.signal.aborted && this.tally.operations < operations) {
      await this.#act(() => client.act());
      await this.#keepPace();
    }
  }

  async #act(deed: () => Promise<void>): Promise<void> {
    try {
      await deed();
    } catch (error) {
      if (this.#options.tolerant !== true) throw error;
      this.tally.unknown++;
      const { cluster } = this.#options;
      await until(
        'an answer from the source',
        async () => (await cluster.send('GET', '/_cluster/health?wait_for_status=yellow')).status === 200,
        {
          withinMs: backWithinMs,
        },
      );
    }
  }

  async #keepPace(): Promise<void> {
    const { perSecond } = this.#options;
    if (perSecond === undefined) return;
    const aheadMs = (this.tally.operations / perSecond) * 1_000 - (Date.now() - this.#startedAt);
    if (aheadMs > 5) await pause(Math.min(aheadMs, 500), undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}
