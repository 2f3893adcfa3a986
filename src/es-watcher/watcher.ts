import { pause } from '../core/backoff.ts';
import { describeError, GatewayError, isTransient } from '../core/errors.ts';
import { createIndexDirectory, parseIndexPatterns } from '../elastic/index.ts';
import type { Probes } from '../service/admin.ts';
import type { Log } from '../service/log.ts';
import type { Metrics } from '../service/metrics.ts';
import { Checkpoint } from './checkpoint.ts';
import type { WatcherSettings } from './config.ts';
import { Observer } from './observer.ts';
import { connectPeers, type Peers } from './peers.ts';
import { Session } from './session.ts';

const betweenSessionsMs = 1_000;
/** Without a poll for this long, and for twenty poll intervals, the watcher is not ready. */
const pollOverdueMs = 10_000;

/** es-watcher at work: sessions on one connection and one checkpoint. */
export class Watcher {
  readonly #settings: WatcherSettings;
  readonly #log: Log;
  readonly #peers: Peers;
  readonly #checkpoint: Checkpoint;
  readonly #observer: Observer;
  readonly #stopping = new AbortController();
  #session: Session | undefined;

  static async open(settings: WatcherSettings, log: Log, metrics: Metrics): Promise<Watcher> {
    // Before anything is asked of others: a checkpoint in use or unreadable ends it here.
    const checkpoint = new Checkpoint(settings.checkpointPath);
    try {
      const peers = await connectPeers(settings, log);
      checkpoint.transaction(true, () => checkpoint.claim(peers.server.clusterUuid, settings.tenant));
      return new Watcher(settings, log, metrics, peers, checkpoint);
    } catch (error) {
      checkpoint.close();
      throw error;
    }
  }

  private constructor(settings: WatcherSettings, log: Log, metrics: Metrics, peers: Peers, checkpoint: Checkpoint) {
    this.#settings = settings;
    this.#log = log;
    this.#peers = peers;
    this.#checkpoint = checkpoint;
    this.#observer = new Observer(log, metrics, () => this.#session);
  }

  /** Until `stop()`; throws what no new session can mend. */
  async run(): Promise<void> {
    const { client, server, link } = this.#peers;
    this.#log.info(
      { source: `${server.distribution} ${server.version.text}`, hosts: client.hosts, stream: this.#settings.stream },
      'watching',
    );
    const directory = createIndexDirectory(client, parseIndexPatterns(this.#settings.indexPatterns.join(',')));
    try {
      while (!this.#stopping.signal.aborted) {
        try {
          const parts = { link, reader: { client, server }, directory, checkpoint: this.#checkpoint };
          this.#session = await Session.open(this.#settings, parts, this.#observer.events);
          if (this.#stopping.signal.aborted) break;
          await this.#session.run();
        } catch (error) {
          if (this.#stopping.signal.aborted) break;
          if (!isTransient(error)) throw error;
          this.#log.warn({ code: error instanceof GatewayError ? error.code : undefined }, describeError(error));
          await pause(betweenSessionsMs, this.#stopping.signal);
        }
      }
    } finally {
      this.#observer.close();
      await this.#peers.client.close();
      await this.#peers.link.close();
      this.#checkpoint.close();
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#session?.stop();
  }

  get probes(): Probes {
    return {
      live: () => [],
      ready: () => this.#notReady(),
      stats: () => this.#observer.stats(),
    };
  }

  #notReady(): string[] {
    const session = this.#session;
    if (session === undefined) return ['starting'];
    const reasons: string[] = [];
    if (!this.#peers.link.connected) reasons.push('not connected to NATS: see --nats-url (NATS_URL)');
    const { source } = session;
    if (source.trouble !== undefined) reasons.push(describeError(source.trouble));
    else if (Date.now() - source.polledAt > Math.max(pollOverdueMs, 20 * this.#settings.pollInterval))
      reasons.push('no poll has succeeded lately');
    if (session.full) {
      reasons.push('the stream is full: raise --stream-max-bytes (STREAM_MAX_BYTES), or see why a consumer does not acknowledge');
    }
    for (const index of source.waitingForDrop)
      reasons.push(`the new index ${index} waits until every consumer has dropped the old one`);
    return reasons;
  }
}
