import { GatewayError } from '../core/errors.ts';
import {
  changeStreamFor,
  type Documents,
  ensureChangeStream,
  type NatsLink,
  openDocuments,
  openSink,
  openSpace,
  type StreamIdentity,
  streamIdentity,
  type StreamSpace,
} from '../jetstream/index.ts';
import type { IndexDirectory, Reader } from '../elastic/index.ts';
import type { Checkpoint, LostDeletions } from './checkpoint.ts';
import { ClusterSource } from './cluster-source.ts';
import type { ClusterSourceEvents } from './source-settings.ts';
import type { WatcherSettings } from './config.ts';
import { deleteEventsOf } from './events.ts';
import { Publisher, type PublisherEvents } from './publisher.ts';

export type SessionParts = { link: NatsLink; reader: Reader; directory: IndexDirectory; checkpoint: Checkpoint };
export type SessionEvents = ClusterSourceEvents &
  PublisherEvents & { onFull?(full: boolean, reason: string): void; onRetry?(reason: string): void };

const houseKeepingEveryMs = 5_000;
const trimEveryMs = 60_000;
/** Documents put into the object store whose message never followed: a crash lies between. */
const orphansAfterMs = 3_600_000;
const pagesMax = 4;

/**
 * The work between two looks at the stream's identity. It ends with an error when the stream turns out to be another one, or to have lost
 * what it had acknowledged; the next session then begins at the newest checkpoint that the stream still covers (D5).
 */
export class Session {
  readonly source: ClusterSource;
  readonly space: StreamSpace;
  readonly #parts: SessionParts;
  readonly #settings: WatcherSettings;
  readonly #events: SessionEvents;
  readonly #identity: StreamIdentity;
  readonly #sink: ReturnType<typeof openSink>;
  readonly #publisher: Publisher;
  readonly #timers: NodeJS.Timeout[] = [];
  #documents: Promise<Documents> | undefined;
  #sequence: number;
  #fail: (error: unknown) => void = () => {};
  readonly #failed: Promise<never>;

  /** Makes the stream where there is none, and puts the checkpoint back where the stream has lost something. */
  static async open(given: WatcherSettings, parts: SessionParts, events: SessionEvents): Promise<Session> {
    // Where a gateway stands between, the stream of that name is its output, and changes go to the one before it (D5).
    const settings = { ...given, stream: await changeStreamFor(parts.link, given.stream) };
    const ensured = await ensureChangeStream(parts.link, {
      name: settings.stream,
      replicas: settings.streamReplicas,
      ...(settings.streamMaxBytes === undefined ? {} : { maxBytes: settings.streamMaxBytes }),
    });
    for (const warning of ensured.warnings) events.onNotice?.(warning, { stream: settings.stream });
    const session = new Session(settings, parts, events, ensured.identity);
    await session.#reconcile();
    return session;
  }

  private constructor(settings: WatcherSettings, parts: SessionParts, events: SessionEvents, identity: StreamIdentity) {
    this.#settings = settings;
    this.#parts = parts;
    this.#events = events;
    this.#identity = identity;
    this.#sequence = identity.lastSeq;
    this.#failed = new Promise((_, reject) => (this.#fail = reject));
    this.#failed.catch(() => {});
    this.space = openSpace(
      parts.link,
      { stream: settings.stream, keepMs: settings.streamKeep },
      { onPurged: () => this.#sink.kick() },
    );
    this.#sink = openSink(
      parts.link,
      { stream: settings.stream, windowMessages: settings.publishWindow, highestSequence: identity.lastSeq },
      {
        onFull: (full, reason) => {
          this.space.noteFull(full);
          events.onFull?.(full, reason);
        },
        onRegress: () => this.#fail(streamLost(settings.stream)),
        onRetry: (reason) => events.onRetry?.(reason),
      },
    );
    this.#publisher = new Publisher(
      {
        sink: this.#sink,
        documents: () =>
          (this.#documents ??= openDocuments(parts.link, { stream: settings.stream, replicas: settings.streamReplicas })),
        maxPayload: parts.link.maxPayload,
        limits: {
          documentsMax: settings.frameDocumentsMax,
          bytesMax: settings.frameBytesMax,
          compressFromBytes: settings.compressFrom,
          compressLevel: settings.compressLevel,
        },
        now: Date.now,
      },
      events,
    );
    this.source = new ClusterSource(
      {
        tenant: settings.tenant,
        pollIntervalMs: settings.pollInterval,
        discoveryIntervalMs: settings.discoveryInterval,
        refresh: settings.refresh,
        pageDocumentsMax: settings.pageDocumentsMax,
        pageBytesMax: settings.pageBytesMax,
        shardsParallel: settings.shardsParallel,
        pagesMax,
        propagateIndexDeletes: settings.propagateIndexDeletes,
      },
      {
        ...parts,
        now: Date.now,
        noteStored: (sequence) => this.#noteStored(sequence),
        acknowledgedThrough: () => this.space.ackFloor(),
      },
      events,
    );
  }

  get full(): boolean {
    return this.#sink.full;
  }

  /** Runs until `stop()`, or throws when the session cannot go on. */
  async run(): Promise<void> {
    this.space.start();
    this.#every(houseKeepingEveryMs, () => this.#checkIdentity());
    this.#every(trimEveryMs, () => this.#trim());
    try {
      await Promise.race([this.#pump(), this.#failed]);
    } catch (error) {
      this.#sink.abort(error instanceof GatewayError ? error : streamLost(this.#settings.stream));
      throw (await this.#movedTo()) ?? error;
    } finally {
      for (const timer of this.#timers) clearInterval(timer);
      await this.source.stop();
      await this.space.stop();
      await this.#sink.close();
    }
  }

  async stop(): Promise<void> {
    await this.source.stop();
  }

  /** A gateway has made the stream its output while we published to it: the next session finds the one that takes changes now. */
  async #movedTo(): Promise<GatewayError | undefined> {
    const { stream } = this.#settings;
    const now = await changeStreamFor(this.#parts.link, stream).catch(() => stream);
    if (now === stream) return undefined;
    return new GatewayError('STREAM_MOVED', `stream ${stream} is now the output of a gateway; changes go to ${now}`, {
      transient: true,
    });
  }

  async #pump(): Promise<void> {
    for await (const batch of this.source) {
      this.#publisher.publish(batch).then(batch.stored, (error: unknown) => {
        batch.failed(error);
        this.#fail(error);
      });
    }
  }

  /** Compares the stream with what the checkpoint knows of it, and goes back where the stream has lost something. */
  async #reconcile(): Promise<void> {
    const { checkpoint } = this.#parts;
    const known = checkpoint.streamPosition();
    const { name, created, lastSeq } = this.#identity;
    const same = known !== undefined && known.name === name && known.created === created;
    if (known === undefined || (same && lastSeq >= known.sequence)) {
      checkpoint.transaction(true, () => checkpoint.setStreamPosition({ name, created, sequence: lastSeq }));
      return;
    }
    const covered = same ? lastSeq : 0;
    const lost = checkpoint.deletionsAfter(covered);
    this.#events.onNotice?.('the stream has lost what it had acknowledged: going back to the newest checkpoint it covers', {
      stream: name,
      sequence: covered,
      was: known.sequence,
      deletes: lost.reduce((sum, of) => sum + of.deletions.length, 0),
    });
    const again = await this.#repeatDeletes(lost);
    await this.#repeatDrops(covered);
    // Last, and at once: a crash before this begins the repetition anew.
    checkpoint.transaction(true, () => {
      checkpoint.goBack(covered);
      for (const [at, { incarnation, deletions, rowids }] of lost.entries()) {
        checkpoint.forgetDeletions(rowids);
        checkpoint.logDeletions(incarnation, deletions, again[at]!, Date.now());
      }
      checkpoint.setStreamPosition({ name, created, sequence: this.#sequence });
    });
  }

  /** Publishes again the deletes that the stream lost: their rows are gone, nothing else would find them. */
  async #repeatDeletes(lost: readonly LostDeletions[]): Promise<number[]> {
    const reading = { tenant: this.#settings.tenant, now: Date.now };
    const sequences: number[] = [];
    for (const { incarnation, deletions } of lost) {
      const origin = `${incarnation.uuid}.${incarnation.epoch}.again.${this.#identity.created}`;
      const events = deleteEventsOf(reading, incarnation.name, deletions);
      const sequence = await this.#publisher.publish({ events, origin, stored: () => {}, failed: () => {} });
      this.#sequence = Math.max(this.#sequence, sequence);
      sequences.push(sequence);
    }
    return sequences;
  }

  async #repeatDrops(covered: number): Promise<void> {
    const { checkpoint } = this.#parts;
    for (const { name, version, sequence: was } of checkpoint.drops()) {
      if (was <= covered) continue;
      const drop = { tenant: this.#settings.tenant, index: name, version, ts: Date.now() };
      const origin = `${version}.again.${this.#identity.created}`;
      const sequence = await this.#publisher.publish({ events: [], drop, origin, stored: () => {}, failed: () => {} });
      this.#sequence = Math.max(this.#sequence, sequence);
      checkpoint.transaction(true, () => checkpoint.setDrop(name, version, sequence));
    }
  }

  #noteStored(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
    const { name, created } = this.#identity;
    this.#parts.checkpoint.setStreamPosition({ name, created, sequence: this.#sequence });
  }

  async #checkIdentity(): Promise<void> {
    const now = await streamIdentity(this.#parts.link, this.#settings.stream);
    if (now === undefined || now.created !== this.#identity.created || now.lastSeq < this.#sequence)
      this.#fail(streamLost(this.#settings.stream));
  }

  async #trim(): Promise<void> {
    const floor = await this.space.ackFloor();
    this.#parts.checkpoint.transaction(false, () => this.#parts.checkpoint.trim(floor, Date.now()));
    const documents = await this.#documents;
    await documents?.removeThrough(this.space.purgedSeq, Date.now() - orphansAfterMs);
  }

  /** House-keeping: a failure is a lost connection, which others notice and mend. */
  #every(ms: number, work: () => Promise<void>): void {
    let running = false;
    this.#timers.push(
      setInterval(() => {
        if (running) return;
        running = true;
        work()
          .catch((error: unknown) => {
            if (!(error instanceof GatewayError) || !error.transient) this.#events.onTrouble?.('stream', error);
          })
          .finally(() => (running = false));
      }, ms),
    );
  }
}

function streamLost(stream: string): GatewayError {
  return new GatewayError('STREAM_LOST', `the stream ${stream} was deleted, made anew or rolled back`, {
    hint: 'the watcher goes back to the newest checkpoint that the stream covers',
    transient: true,
  });
}
