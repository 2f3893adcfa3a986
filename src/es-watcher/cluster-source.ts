import { pause } from '../core/backoff.ts';
import { BufferPool } from '../core/buffer-pool.ts';
import { GatewayError, isTransient } from '../core/errors.ts';
import type { ChangeBatch, ChangeSource } from '../core/strategy.ts';
import { Slots } from '../core/slots.ts';
import { indexPath, type IndexFacts, type IndexStats } from '../elastic/index.ts';
import { BatchChannel } from './channel.ts';
import type { Incarnation } from './checkpoint.ts';
import { Drops } from './drops.ts';
import { FollowedIndex, type FollowedContext, type Poll } from './followed-index.ts';
import { Incarnations } from './incarnations.ts';
import { cautions, unfollowable } from './followable.ts';
import { PollPace } from './poll-pace.ts';
import type { ClusterSourceEvents, ClusterSourceParts, ClusterSourceSettings } from './source-settings.ts';
import { StatsReader } from './stats-reader.ts';
import { Succession } from './succession.ts';

/** An answer is somewhat larger than the documents that were asked for. */
const pageSlack = 4;
const outsideAgainMs = 60_000;

/** The exact change feed of a cluster (D2): finds the indices, polls their shards, and starts what there is to read. */
export class ClusterSource implements ChangeSource {
  readonly #settings: ClusterSourceSettings;
  readonly #parts: ClusterSourceParts;
  readonly #events: ClusterSourceEvents;
  readonly #channel = new BatchChannel();
  readonly #stopping = new AbortController();
  readonly #incarnations: Incarnations;
  readonly #followed = new Map<string, FollowedIndex>();
  readonly #refused = new Map<string, string>();
  /** Known incarnations that the patterns leave out, and when to see again whether they still exist. */
  readonly #outside = new Map<string, number>();
  /** Followers of those, which may still be reading. */
  readonly #parked = new Map<string, FollowedIndex>();
  /** Readers of incarnations that were succeeded, until they have ended. */
  readonly #retired = new Set<FollowedIndex>();
  readonly #stats: StatsReader;
  readonly #succession: Succession;
  readonly #drops: Drops;
  readonly #context: FollowedContext;
  #running: Promise<void> | undefined;
  #polls = 0;
  #discoverAt = 0;
  #discovering: Promise<undefined> | undefined;
  /** Why the last discovery failed, until it is told. */
  #undiscovered: { error: unknown } | undefined;
  readonly #pace: PollPace;
  #kicked = new AbortController();
  #polledAt = 0;
  #failing: unknown;
  #unwritable: GatewayError | undefined;

  constructor(settings: ClusterSourceSettings, parts: ClusterSourceParts, events: ClusterSourceEvents = {}) {
    this.#settings = settings;
    this.#parts = parts;
    this.#events = events;
    this.#pace = new PollPace(settings.pollIntervalMs);
    this.#incarnations = new Incarnations(parts.checkpoint, parts.now);
    this.#context = {
      reader: parts.reader,
      checkpoint: parts.checkpoint,
      tenant: settings.tenant,
      emit: (batch, origin) => this.#channel.emit({ events: batch, origin }),
      pages: new Slots(settings.pagesMax),
      memory: new BufferPool(settings.pagesMax, settings.pageBytesMax * pageSlack),
      shards: new Slots(settings.shardsParallel),
      pageDocumentsMax: settings.pageDocumentsMax,
      pageBytesMax: settings.pageBytesMax,
      refreshMode: settings.refresh,
      now: parts.now,
      signal: this.#stopping.signal,
      noteStored: (sequence) => parts.noteStored(sequence),
      onProgress: () => {
        this.#unwritable = undefined;
        this.#kicked.abort();
      },
      onTrouble: (index, shard, error) => {
        // A checkpoint that cannot be written stops every index.
        if (error instanceof GatewayError && error.code.startsWith('CHECKPOINT_')) this.#unwritable = error;
        events.onTrouble?.(`${index}[${shard}]`, error);
      },
      onRecovered: (index, shard) => events.onRecovered?.(`${index}[${shard}]`),
      onRefresh: (index, tookMs) => events.onRefresh?.(index, tookMs),
      onPage: (index, documents, bytes) => events.onPage?.(index, documents, bytes),
      onLooked: (index, deletes, tookMs) => events.onLooked?.(index, deletes, tookMs),
      onUnknown: (index, shard, documents) => events.onUnknown?.(index, shard, documents),
    };
    this.#stats = new StatsReader(parts.reader.client, parts.now, (index, error) => events.onTrouble?.(index, error));
    this.#succession = new Succession(this.#context, this.#incarnations, events);
    this.#drops = new Drops(this.#channel, parts, this.#incarnations, settings.tenant);
  }

  [Symbol.asyncIterator](): AsyncIterator<ChangeBatch> {
    this.#running ??= this.#run();
    return this.#channel[Symbol.asyncIterator]();
  }

  /** Breaks off what is being read; what was emitted may still be settled, and moves its checkpoint when it is. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#kicked.abort();
    await this.#running;
    this.#channel.close(new GatewayError('SOURCE_STOPPED', 'the watcher is stopping', { transient: true }));
    await Promise.allSettled([...this.#followed.values(), ...this.#retired].map((index) => index.idle));
    await this.#succession.idle;
  }

  /** For readiness: what keeps the source from doing its work. */
  get trouble(): unknown {
    return this.#failing ?? this.#unwritable;
  }

  get polledAt(): number {
    return this.#polledAt;
  }

  get indices(): FollowedIndex[] {
    return [...this.#followed.values()];
  }

  /** Indices that match and cannot be followed, with the reason. */
  get refused(): ReadonlyMap<string, string> {
    return new Map([...this.#refused, ...this.#stats.refused]);
  }

  get waitingForDrop(): string[] {
    return this.#drops.held;
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#kicked = new AbortController();
      let tookMs = 0;
      try {
        await this.#discoverWhenDue();
        const startedAt = performance.now();
        await this.#poll();
        tookMs = performance.now() - startedAt;
        if (this.#failing !== undefined) this.#events.onRecovered?.('cluster');
        this.#failing = undefined;
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        if (this.#failing === undefined) this.#events.onTrouble?.('cluster', error);
        this.#failing = error;
        await pause(isTransient(error) ? 500 : 5_000, this.#stopping.signal);
        continue;
      }
      await pause(this.#pace.pauseMs(performance.now(), tookMs), this.#kicked.signal);
    }
    await this.#discovering;
  }

  /** Polls go on beside a discovery, so that no change waits for it; the first one, and one after a failure, come before. */
  async #discoverWhenDue(): Promise<void> {
    if (this.#discovering === undefined && this.#parts.now() >= this.#discoverAt) {
      this.#discoverAt = this.#parts.now() + this.#settings.discoveryIntervalMs;
      this.#discovering = this.#discover()
        .catch((error: unknown) => (this.#undiscovered = { error }))
        .then(() => (this.#discovering = undefined));
    }
    if (this.#followed.size === 0 || this.#failing !== undefined) await this.#discovering;
    const failed = this.#undiscovered;
    if (failed === undefined) return;
    this.#undiscovered = undefined;
    this.#discoverAt = 0;
    throw failed.error;
  }

  async #discover(): Promise<void> {
    const all = await this.#parts.directory.read(this.#stopping.signal);
    const present = new Set<string>();
    for (const facts of all) {
      present.add(facts.name);
      this.#meet(facts);
    }
    for (const name of new Set([...this.#followed.keys(), ...this.#incarnations.names()])) {
      if (!present.has(name)) await this.#miss(name);
    }
    for (const name of this.#refused.keys()) if (!present.has(name)) this.#refused.delete(name);
    await this.#drops.release();
  }

  #meet(facts: IndexFacts): void {
    const refusal = unfollowable(facts);
    if (refusal !== undefined) {
      if (this.#refused.get(facts.name) !== refusal.message) this.#events.onTrouble?.(facts.name, refusal);
      this.#refused.set(facts.name, refusal.message);
      return;
    }
    this.#refused.delete(facts.name);
    this.#outside.delete(facts.name);
    if (this.#drops.holds(facts.name)) return;
    const followed = this.#followed.get(facts.name) ?? this.#parked.get(facts.name);
    this.#parked.delete(facts.name);
    if (followed !== undefined && followed.incarnation.uuid === facts.uuid) {
      followed.facts = facts;
      this.#followed.set(facts.name, followed);
      return;
    }
    if (followed === undefined) for (const caution of cautions(facts)) this.#events.onNotice?.(caution, { index: facts.name });
    const before = this.#incarnations.live(facts.name);
    const incarnation = this.#incarnations.resolve(facts);
    if (before !== undefined && before !== incarnation) this.#events.onIncarnation?.(facts.name, 'it was created anew');
    this.#follow(incarnation, facts);
  }

  #follow(incarnation: Incarnation, facts: IndexFacts): void {
    const former = this.#followed.get(facts.name);
    this.#followed.set(facts.name, new FollowedIndex(this.#context, incarnation, facts));
    if (former === undefined) return;
    this.#retired.add(former);
    void former.idle.finally(() => this.#retired.delete(former));
  }

  /** A name that no longer matches: the index is gone, or only out of our patterns. */
  async #miss(name: string): Promise<void> {
    if ((this.#outside.get(name) ?? 0) > this.#parts.now()) return;
    const incarnation = this.#incarnations.live(name);
    const { status } = await this.#parts.reader.client.request({
      method: 'HEAD',
      path: indexPath(name),
      signal: this.#stopping.signal,
    });
    if (status === 200 || status === 401 || status === 403) {
      const followed = this.#followed.get(name);
      if (followed !== undefined) this.#parked.set(name, followed);
      this.#followed.delete(name);
      this.#outside.set(name, this.#parts.now() + outsideAgainMs);
      return;
    }
    if (status !== 404) throw new GatewayError('ES_UNAVAILABLE', `HEAD ${name} was answered with ${status}`, { transient: true });
    const followed = this.#followed.get(name);
    this.#followed.delete(name);
    await followed?.idle;
    if (incarnation === undefined) return;
    if (this.#settings.propagateIndexDeletes) await this.#drops.publish(incarnation);
    else this.#incarnations.leave(incarnation);
    this.#events.onNotice?.('an index was deleted at the source', {
      index: name,
      propagated: this.#settings.propagateIndexDeletes,
    });
  }

  async #poll(): Promise<void> {
    const open = [...this.#followed.values()].filter((index) => !index.facts.closed);
    if (open.length > 0) {
      const poll = { number: ++this.#polls, askedAt: this.#parts.now() };
      const startedAt = performance.now();
      const names = open.map((index) => index.facts.name);
      const stats = await this.#stats.read(names, {
        refreshes: this.#settings.refresh === 'passive',
        signal: this.#stopping.signal,
      });
      this.#events.onPoll?.(performance.now() - startedAt);
      let moved = false;
      for (const index of open) {
        const found = stats.indices.get(index.facts.name);
        // Meanwhile a discovery may have found another index of that name, or none.
        if (this.#followed.get(index.facts.name) !== index) continue;
        // Closed, deleted or created anew since the last discovery.
        if (this.#stats.refused.has(index.facts.name)) continue;
        if (found === undefined || found.uuid !== index.incarnation.uuid) this.#discoverAt = 0;
        else moved = this.#look(index, found, poll) || moved;
      }
      if (moved) this.#pace.found(performance.now());
    }
    this.#polledAt = this.#parts.now();
    const retiring = new Set([...this.#retired].map((index) => index.facts.name));
    this.#succession.advance([...this.#followed.values()].filter((index) => index.caughtUp && !retiring.has(index.facts.name)));
  }

  /** True when a shard of it has moved. */
  #look(index: FollowedIndex, found: IndexStats, poll: Poll): boolean {
    let moved = false;
    for (const [shard, primary] of found.shards) {
      const history = index.historyOf(shard);
      const checkpoint = index.checkpointOf(shard);
      if (history !== undefined && history !== primary.historyUuid) {
        this.#startOver(index, 'its history was replaced (restored, or a copy forced to be the primary)');
        return true;
      }
      // Just after a restart a primary may know a lower global checkpoint for a while; its operations are there all the same.
      if (primary.globalCheckpoint < checkpoint && primary.maxSeqNo < checkpoint) {
        this.#startOver(index, 'operations were rolled back');
        return true;
      }
      moved = index.seen(shard, primary, poll) || moved;
    }
    return moved;
  }

  #startOver(index: FollowedIndex, reason: string): void {
    const { facts } = index;
    this.#events.onIncarnation?.(facts.name, reason);
    this.#follow(this.#incarnations.succeed(facts), facts);
  }
}
