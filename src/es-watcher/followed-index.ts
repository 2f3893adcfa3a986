import { isTransient } from '../core/errors.ts';
import type { Slots } from '../core/slots.ts';
import { ElasticError, findIds, refresh, type IndexFacts, type PrimaryShard } from '../elastic/index.ts';
import type { Incarnation, ShardState } from './checkpoint.ts';
import { LagClock } from './lag-clock.ts';
import { Moves, type ShardPlace } from './moves.ts';
import { PassiveRefresh } from './passive-refresh.ts';
import { type FollowContext, ShardFollower } from './shard.ts';

/** One reading of the statistics: its number, and when it was asked for. */
export type Poll = { number: number; askedAt: number };

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
  passive: PassiveRefresh;
  caughtUp: boolean;
};

const retryFirstMs = 200;
const retryMaxMs = 30_000;
/** Of a search that is made for its own sake; whether there is such a document does not matter. */
const touchedId = '_';

/** One incarnation of an index, shard by shard. */
export class FollowedIndex {
  readonly incarnation: Incarnation;
  facts: IndexFacts;
  readonly #context: FollowedContext;
  readonly #followers = new Map<number, Follower>();
  readonly #known: Map<number, ShardState>;
  readonly #tasks = new Set<Promise<void>>();
  readonly #places = new Map<number, ShardPlace>();
  readonly #moves: Moves;
  #refreshing: { poll: number; done: Promise<void> } | undefined;

  constructor(context: FollowedContext, incarnation: Incarnation, facts: IndexFacts) {
    this.#context = context;
    this.incarnation = incarnation;
    this.facts = facts;
    this.#moves = new Moves(context, incarnation, () => [...this.#places.values()]);
    this.#known = new Map(context.checkpoint.shards(incarnation).map((state) => [state.shard, state]));
  }

  /** True once every shard has reached a checkpoint of this run. */
  get caughtUp(): boolean {
    return this.#followers.size >= this.facts.shards && [...this.#followers.values()].every((f) => f.caughtUp);
  }

  get idle(): Promise<unknown> {
    return Promise.all(this.#tasks);
  }

  /** What is known of a shard's history; undefined for a shard that was never seen. */
  historyOf(shard: number): string | undefined {
    return this.#known.get(shard)?.historyUuid;
  }

  /** The shard's key in the checkpoint. */
  keyOf(shard: number): number | undefined {
    return this.#known.get(shard)?.key;
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

  /** Takes in one look at a shard. Starts the reading where there is something to read; true when it has moved since the last look. */
  seen(shard: number, primary: PrimaryShard, poll: Poll): boolean {
    const entry = this.#entry(shard, primary);
    const { state } = entry.follower;
    const now = this.#context.now();
    this.#places.set(shard, { shard, key: state.key, node: primary.node });
    const moved = primary.globalCheckpoint > entry.lag.target;
    entry.lag.see(primary.globalCheckpoint, now);
    if (entry.running || now < entry.retryAt) return moved;
    if (primary.globalCheckpoint <= state.checkpoint && !state.owed) {
      entry.caughtUp = true;
      return moved;
    }
    let upTo = Math.max(primary.globalCheckpoint, state.checkpoint);
    if (this.#context.refreshMode === 'passive') {
      const visible = entry.passive.see(primary, poll.askedAt, now, this.facts.refreshIntervalMs);
      if (entry.passive.wantsTouch(now)) this.#touch(shard, primary.node);
      if (visible === undefined) return moved;
      upTo = visible;
    }
    entry.running = true;
    const task = this.#follow(entry, upTo, primary.node, poll.number).finally(() => {
      entry.running = false;
      this.#tasks.delete(task);
    });
    this.#tasks.add(task);
    return moved;
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
      entry = {
        follower,
        lag: new LagClock(),
        running: false,
        failures: 0,
        retryAt: 0,
        passive: new PassiveRefresh(),
        caughtUp: false,
      };
      this.#followers.set(shard, entry);
    }
    return entry;
  }

  /** A search that finds one document at most: it keeps the shard refreshing. Its failure is nobody's: the next look tells more. */
  #touch(shard: number, node: string): void {
    const copy = { index: this.incarnation.name, shard, node };
    findIds(this.#context.reader, copy, [touchedId], this.#context.signal).catch(() => {});
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
      // A primary that moves or restarts, and an index that is deleted or closed, are daily life: worth a word when it lasts.
      const isDailyLife =
        isTransient(error) ||
        (error instanceof ElasticError && (error.status === 404 || error.type === 'index_closed_exception'));
      if (!isDailyLife || entry.failures === 3) this.#context.onTrouble(this.incarnation.name, shard, error);
      entry.passive.reset();
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
