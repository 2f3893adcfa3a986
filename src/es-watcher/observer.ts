import { describeError, GatewayError, isTransient } from '../core/errors.ts';
import type { Log } from '../service/log.ts';
import type { Metrics } from '../service/metrics.ts';
import { watcherMetrics, type WatcherMetrics } from './metrics.ts';
import type { Session, SessionEvents } from './session.ts';

/** Tells metrics, the log and /stats what the sessions do. */
export class Observer {
  readonly events: SessionEvents;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #meters: WatcherMetrics;
  readonly #session: () => Session | undefined;
  readonly #shown = new Set<string>();
  #fullSince: number | undefined;

  constructor(log: Log, metrics: Metrics, session: () => Session | undefined) {
    this.#log = log;
    this.#metrics = metrics;
    this.#meters = watcherMetrics(metrics);
    this.#session = session;
    metrics.beforeScrape(() => this.#measure());
    this.events = this.#listeners();
  }

  close(): void {
    this.#noteFull(false);
  }

  stats(): object {
    const session = this.#session();
    if (session === undefined) return { indices: [] };
    const now = Date.now();
    const { source, space } = session;
    const indices = source.indices.map((index) => ({
      index: index.facts.name,
      uuid: index.incarnation.uuid,
      epoch: index.incarnation.epoch,
      closed: index.facts.closed,
      caughtUp: index.caughtUp,
      shards: index.lag(now),
    }));
    const lagOperations = indices.reduce((sum, index) => sum + index.shards.reduce((of, shard) => of + shard.operations, 0), 0);
    return {
      lagOperations,
      caughtUp: indices.every((index) => index.closed || index.caughtUp),
      stream: {
        bytes: space.bytes,
        maxBytes: space.maxBytes,
        messages: space.messages,
        full: session.full,
        purgedThrough: space.purgedSeq,
      },
      refused: Object.fromEntries(source.refused),
      indices,
    };
  }

  #listeners(): SessionEvents {
    const log = this.#log;
    const meters = this.#meters;
    return {
      onTrouble: (about, error) => {
        meters.retries.with({ peer: 'source' }).inc();
        const fields = {
          about,
          code: error instanceof GatewayError ? error.code : undefined,
          ...(error instanceof GatewayError ? {} : { err: error }),
        };
        if (isTransient(error)) log.warn(fields, describeError(error));
        else log.error(fields, describeError(error));
      },
      onRecovered: (about) => log.info({ about }, 'going on'),
      onNotice: (message, fields) => log.warn(fields, message),
      onPoll: (tookMs) => meters.pollSeconds.with({}).observe(tookMs / 1000),
      onRefresh: (_index, tookMs) => meters.refreshSeconds.with({}).observe(tookMs / 1000),
      onIncarnation: (index, reason) => {
        meters.incarnations.with({}).inc();
        log.warn({ index, reason }, 'a new incarnation of an index: it is read again from the start');
      },
      onLooked: (_index, deletes, tookMs) => {
        meters.deletes.with({}).inc(deletes);
        meters.lookSeconds.with({}).observe(tookMs / 1000);
      },
      onUnknown: (index, shard, documents) => {
        meters.disagreements.with({}).inc();
        log.error(
          { index, shard, documents },
          'the index holds documents that the checkpoint does not know: they are read again',
        );
      },
      onFrame: (frame) => {
        meters.documents.with({ index: frame.index, operation: frame.operation }).inc(frame.documents);
        meters.documentBytes.with({}).inc(frame.bytes);
        meters.frames.with({}).inc();
        meters.frameBytes.with({}).inc(frame.payloadBytes);
        meters.publishSeconds.with({}).observe(frame.tookMs / 1000);
      },
      onLargeDocument: () => meters.largeDocuments.with({}).inc(),
      onFull: (full, reason) => {
        if (full) log.warn({ reason }, 'the stream is full: the watcher waits for the consumers to acknowledge');
        else log.info('the stream has room again');
        this.#noteFull(full);
      },
      onRetry: (reason) => {
        meters.retries.with({ peer: 'nats' }).inc();
        log.debug({ reason }, 'publishing again');
      },
    };
  }

  #noteFull(full: boolean): void {
    const now = Date.now();
    if (this.#fullSince !== undefined) this.#meters.streamFullSeconds.with({}).inc((now - this.#fullSince) / 1000);
    this.#fullSince = full ? now : undefined;
    this.#meters.streamFull.with({}).set(full ? 1 : 0);
  }

  #measure(): void {
    const session = this.#session();
    if (session === undefined) return;
    if (this.#fullSince !== undefined) this.#noteFull(true);
    const meters = this.#meters;
    const now = Date.now();
    const present = new Set<string>();
    let shards = 0;
    for (const index of session.source.indices) {
      present.add(index.facts.name);
      this.#shown.add(index.facts.name);
      for (const lag of index.lag(now)) {
        const labels = { index: index.facts.name, shard: String(lag.shard) };
        shards++;
        meters.lagOperations.with(labels).set(lag.operations);
        meters.lagSeconds.with(labels).set(lag.seconds);
        meters.backfill.with(labels).set(lag.target < 0 ? 1 : Math.min(1, (lag.checkpoint + 1) / (lag.target + 1)));
      }
    }
    meters.indices.with({}).set(present.size);
    meters.shards.with({}).set(shards);
    meters.streamBytes.with({}).set(session.space.bytes);
    for (const index of this.#shown) {
      if (present.has(index)) continue;
      this.#metrics.drop({ index });
      this.#shown.delete(index);
    }
  }
}
