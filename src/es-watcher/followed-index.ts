import { isTransient } from '../core/errors.ts';
import type { Slots } from '../core/slots.ts';
import { refresh, type IndexFacts, type PrimaryShard } from '../elastic/index.ts';
import type { Incarnation, ShardState } from './checkpoint.ts';
import { LagClock } from './lag-clock.ts';
import { Moves } from './moves.ts';
import { type FollowContext, ShardFollower } from './shard.ts';

export type RefreshMode = 'force' | 'passive';

export type FollowedContext = FollowContext & {
  refreshMode: RefreshMode;
  /** Shards read at once. */
  shards: Slots;
  /** A shard has made progress: there may be more, ask again at once. */
  onProgress(): void;
  onTrouble(index: string, shard: number, error: unknown): void;
  onRecovered(index: string, shard: number): void;
  onRefresh?(index: string, tookMs: number): void;
};

type Follower = {
  follower: ShardFollower;
  lag: LagClock;
  /** The reading of this shard that is under way. */
  running: boolean;
  failures: number;
  retryAt: number;
  /** Passive mode: the checkpoint waited for, and the refresh count at which all of it is visible. */
  waiting: { upTo: number; refreshTotal: number } | undefined;
  caughtUp: boolean;
};

const retryFirstMs = 200;
const retryMaxMs = 30_000;
/** A refresh that began before the checkpoint was read may end after it: the second one surely began later. */
const refreshesAwaited = 2;

/** One incarnation of an index, shard by shard. */
export class FollowedIndex {
  readonly incarnation: Incarnation;
  facts: IndexFacts;
  readonly #context: FollowedContext;
  readonly #followers = new Map<number, Follower>();
  readonly #known: Map<number, ShardState>;
  readonly #tasks = new Set<Promise<void>>();
  readonly #nodes = new Map<number, string>();
  readonly #moves: Moves;
  #refreshing: { poll: number; done: Promise<void> } | undefined;

  constructor(context: FollowedContext, incarnation: Incarnation, facts: IndexFacts) {
    this.#context = context;
    this.incarnation = incarnation;
    this.facts = facts;
    this.#moves = new Moves(context, incarnation, () => this.#nodes);
    this.#known = new Map(context.checkpoint.shards(incarnation).map((state) => [state.shard, state]));
  }

  /** True once every shard has reached a checkpoint of this run. */
  get caughtUp(): boolean {
    return this.#followers.size >= this.facts.shards && [...this.#followers.values()].every((f) => f.caughtUp);
  }

  get idle(): Promise<unknown> {
    return Promise.all(this.#tasks);
  }

  shardKeys(): number[] {
    return [...this.#followers.values()].map((f) => f.follower.state.key);
  }

  /** What is known of a shard's history; undefined for a shard that was never seen. */
  historyOf(shard: number): string | undefined {
    return this.#known.get(shard)?.historyUuid;
  }

  checkpointOf(shard: number): number {
    return this.#known.get(shard)?.checkpoint ?? -1;
  }

  lag(now: number): { shard: number; operations: number; seconds: number; checkpoint: number; target: number }[] {
    return [...this.#followers.values()].map(({ follower, lag }) => ({
      shard: follower.state.shard,
      checkpoint: follower.state.checkpoint,
      target: lag.target,
      operations: Math.max(0, lag.target - follower.state.checkpoint),
      seconds: lag.seconds(follower.state.checkpoint, now),
    }));
  }

  /** Takes in one look at a shard; `poll` is the number of the poll that read it. Starts the reading where there is something to read. */
  seen(shard: number, primary: PrimaryShard, poll: number): void {
    const entry = this.#entry(shard, primary);
    const { state } = entry.follower;
    const now = this.#context.now();
    this.#nodes.set(shard, primary.node);
    entry.lag.see(primary.globalCheckpoint, now);
    if (entry.running || now < entry.retryAt) return;
    if (primary.globalCheckpoint <= state.checkpoint && !state.owed) {
      entry.caughtUp = true;
      return;
    }
    let upTo = Math.max(primary.globalCheckpoint, state.checkpoint);
    if (this.#context.refreshMode === 'passive') {
      const visible = this.#visibleByItself(entry, primary);
      if (visible === undefined) return;
      upTo = visible;
    }
    entry.running = true;
    const task = this.#follow(entry, upTo, primary.node, poll).finally(() => {
      entry.running = false;
      this.#tasks.delete(task);
    });
    this.#tasks.add(task);
  }

  #entry(shard: number, primary: PrimaryShard): Follower {
    let entry = this.#followers.get(shard);
    if (entry === undefined) {
      const { checkpoint } = this.#context;
      const state =
        this.#known.get(shard) ??
        checkpoint.transaction(true, () => checkpoint.addShard(this.incarnation, shard, primary.historyUuid));
      this.#known.set(shard, state);
      const follower = new ShardFollower(this.#context, this.incarnation, state, this.facts.resultWindowMax, this.#moves);
      entry = { follower, lag: new LagClock(), running: false, failures: 0, retryAt: 0, waiting: undefined, caughtUp: false };
      this.#followers.set(shard, entry);
    }
    return entry;
  }

  /** Passive mode: how far the shard's own refreshes have made operations visible, if further than known. */
  #visibleByItself(entry: Follower, primary: PrimaryShard): number | undefined {
    const total = primary.refreshTotal ?? 0;
    const { waiting } = entry;
    // A node that was restarted counts from zero again.
    if (waiting === undefined || total < waiting.refreshTotal - refreshesAwaited) {
      entry.waiting = { upTo: primary.globalCheckpoint, refreshTotal: total + refreshesAwaited };
      return undefined;
    }
    if (total < waiting.refreshTotal) return undefined;
    entry.waiting = undefined;
    return waiting.upTo;
  }

  async #follow(entry: Follower, upTo: number, node: string, poll: number): Promise<void> {
    const { shard } = entry.follower.state;
    try {
      if (this.#context.refreshMode === 'force') await this.#refreshed(poll);
      await this.#context.shards.run(() => entry.follower.follow(upTo, node));
      if (entry.failures > 0) this.#context.onRecovered(this.incarnation.name, shard);
      entry.failures = 0;
      entry.caughtUp = true;
      this.#context.onProgress();
    } catch (error) {
      if (this.#context.signal.aborted) return;
      entry.failures++;
      entry.retryAt = this.#context.now() + Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(entry.failures - 1, 10));
      // A primary that moves or restarts is daily life: it is worth a word when it lasts.
      if (!isTransient(error) || entry.failures === 3) this.#context.onTrouble(this.incarnation.name, shard, error);
      entry.waiting = undefined;
    }
  }

  /** One refresh serves every shard whose checkpoint was read before it began. */
  #refreshed(poll: number): Promise<void> {
    if (this.#refreshing === undefined || this.#refreshing.poll < poll) {
      const startedAt = performance.now();
      const done = refresh(this.#context.reader.client, this.incarnation.name, this.#context.signal).then(() =>
        this.#context.onRefresh?.(this.incarnation.name, performance.now() - startedAt),
      );
      this.#refreshing = { poll, done };
    }
    return this.#refreshing.done;
  }
}
