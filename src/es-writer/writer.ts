import { pause } from '../core/backoff.ts';
import { freeMemory } from '../core/free-memory.ts';
import { Intake } from '../core/intake.ts';
import { openPayload } from '../core/frame.ts';
import { Pump, type PumpLimits, type PumpStages } from '../core/pump.ts';
import type { Message } from '../core/strategy.ts';
import { GcDeletes } from '../elastic/index.ts';
import { DeadLetters, ensureChangeStream, type JetStreamSource, openSource, readDocuments } from '../jetstream/index.ts';
import type { Probes } from '../service/admin.ts';
import type { Log } from '../service/log.ts';
import type { Metrics } from '../service/metrics.ts';
import type { WriterSettings } from './config.ts';
import type { Drops } from './drops.ts';
import { IndexNames } from '../core/index-names.ts';
import { Arrivals } from './arrivals.ts';
import { Observer } from './observer.ts';
import { bytesOf, capturedAt, countOf, itemsOf, openLoads, type WriteLoad } from './open.ts';
import { type Kit, openDrops, openTarget } from './parts.ts';
import { connectPeers, type Peers } from './peers.ts';

const lagEveryMs = 1_000;
const closeWithinMs = 500;
/** A target spends a quarter less on a document in requests of 4,000 than of 1,000 (measured); where none wait, nobody waits for them. */
const waitingBatches = 4;

/** es-writer at work: the pump between the stream and the target, and what stands beside it. */
export class EsWriter {
  readonly #settings: WriterSettings;
  readonly #log: Log;
  readonly #peers: Peers;
  readonly #observer: Observer;
  readonly #source: JetStreamSource;
  readonly #letters: DeadLetters;
  readonly #arrivals = new Arrivals(Date.now);
  readonly #drops: Drops;
  readonly #pump: Pump<WriteLoad>;
  readonly #names: IndexNames;
  /** What is to be done and told when a message is settled. */
  readonly #opened = new WeakMap<Message, { payload: Uint8Array; captured: number }>();
  readonly #stopping = new AbortController();

  /** Makes what is missing: the stream, the consumer, the stream of dead letters. Throws STREAM_*, CONSUMER_SHAPE, NATS_*, ES_*. */
  static async open(settings: WriterSettings, log: Log, metrics: Metrics): Promise<EsWriter> {
    const peers = await connectPeers(settings, log);
    const { link, client } = peers;
    try {
      const observer = new Observer(log, metrics);
      const made = await ensureChangeStream(link, {
        name: settings.stream,
        readOnly: true,
        replicas: settings.streamReplicas,
        ...(settings.streamMaxBytes === undefined ? {} : { maxBytes: settings.streamMaxBytes }),
      });
      for (const warning of made.warnings) log.warn({ stream: settings.stream }, warning);
      const origin = { stream: settings.stream, consumer: settings.consumer, hosts: client.hosts };
      const letters = await DeadLetters.open(link, { name: settings.dlqStream, replicas: settings.streamReplicas }, origin);
      const source = await openSource(
        link,
        {
          stream: settings.stream,
          consumer: settings.consumer,
          filterSubjects: settings.filterSubjects,
          ackWaitMs: settings.ackWait,
          windowMessages: settings.inflightFramesMax,
          windowBytes: Math.ceil(settings.inflightBytesMax / 4),
        },
        { onWarning: (warning) => observer.notice(warning) },
      );
      return new EsWriter(settings, log, metrics, peers, observer, source, letters);
    } catch (error) {
      await client.close();
      await link.close();
      throw error;
    }
  }

  private constructor(
    settings: WriterSettings,
    log: Log,
    metrics: Metrics,
    peers: Peers,
    observer: Observer,
    source: JetStreamSource,
    letters: DeadLetters,
  ) {
    this.#settings = settings;
    this.#log = log;
    this.#peers = peers;
    this.#observer = observer;
    this.#source = source;
    this.#letters = letters;
    this.#names = new IndexNames(settings.rename);
    // With 0 nothing is raised, and what there is is still read: late.ts must know it.
    const gcDeletes = new GcDeletes({
      client: peers.client,
      wantedMs: settings.gcDeletes,
      onFact: (fact) => observer.gcDeletes(fact),
    });
    const kit: Kit = { settings, peers, names: this.#names, observer, gcDeletes };
    this.#drops = openDrops(kit, letters);
    this.#pump = new Pump(this.#stages(kit), this.#limits(), {
      onRetry: (items) => observer.retried(items),
      onBlocked: (error) => observer.trouble('target', error),
      onDeadLetter: (refusal, items) => observer.deadLetter(refusal, items),
      onSettled: (message) => this.#settled(message),
    });
    metrics.beforeScrape(() => observer.measure(this.#pump.stats, source.outstanding, letters.trouble !== undefined));
  }

  /** Until `stop()`; throws what cannot be mended from here. */
  async run(): Promise<void> {
    const { client, server, link } = this.#peers;
    const { stream, consumer } = this.#settings;
    const target = `${server.distribution} ${server.version.text}`;
    this.#log.info({ target, hosts: client.hosts, stream, consumer, nats: link.server }, 'writing');
    void this.#watchLag();
    try {
      await this.#pump.run();
    } finally {
      this.#stopping.abort();
      this.#arrivals.stop();
      this.#letters.abandon();
      await this.#drops.stop();
      await this.#letters.close();
      // A request that hangs would hold it up for longer than it is worth.
      await Promise.race([client.close(), pause(closeWithinMs)]);
      await link.close();
    }
  }

  /** Writes what is held, gives the rest back; `run` ends then. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    // The drain ends in time even if target or dead-letter stream hang: what is not settled by then comes again.
    const enough = setTimeout(() => this.#pump.abandon(), this.#settings.drainTimeout * 0.8);
    enough.unref();
    await this.#pump.stop();
  }

  get probes(): Probes {
    return { live: () => [], ready: () => this.#notReady(), stats: () => this.#stats() };
  }

  #notReady(): string[] {
    const reasons: string[] = [];
    if (!this.#peers.link.connected) reasons.push('not connected to NATS: see --nats-url (NATS_URL)');
    reasons.push(...this.#observer.troubles);
    const { trouble } = this.#letters;
    if (trouble !== undefined) reasons.push(`${trouble}: see --dlq-stream (DLQ_STREAM)`);
    return reasons;
  }

  #stats(): object {
    const { client, server, link } = this.#peers;
    return {
      target: { hosts: client.hosts, distribution: server.distribution, version: server.version.text },
      nats: { server: link.server, connected: link.connected },
      stream: this.#settings.stream,
      consumer: this.#settings.consumer,
      ...this.#observer.stats(),
      held: this.#pump.stats,
      outstanding: this.#source.outstanding,
      drops: this.#drops.waiting,
    };
  }

  #limits(): PumpLimits {
    const {
      batchSize,
      bulkBytesMax,
      flushAfter,
      bulkConcurrency,
      inflightBytesMax,
      retryMin,
      retryMax,
      retryAttemptsMax,
      ackWait,
    } = this.#settings;
    return {
      batch: { itemsMax: batchSize, waitingMax: batchSize * waitingBatches, bytesMax: bulkBytesMax, ageMsMax: flushAfter },
      concurrencyMax: bulkConcurrency,
      // The stream's messages are held until they are acknowledged, beside what they open to.
      heldBytesMax: Math.floor((inflightBytesMax * 3) / 4),
      retry: { minMs: retryMin, maxMs: retryMax },
      attemptsMax: retryAttemptsMax,
      workingEveryMs: Math.ceil(ackWait / 3),
    };
  }

  #stages(kit: Kit): PumpStages<WriteLoad> {
    const documents = readDocuments(this.#peers.link);
    const intake = new Intake({
      source: this.#source,
      workingEveryMs: Math.ceil(this.#settings.ackWait / 3),
      take: (delivery) => {
        this.#arrivals.note(delivery.message);
        this.#observer.received(delivery.message);
        return this.#drops.take(delivery) ? undefined : delivery;
      },
    });
    const target = openTarget(kit, this.#stopping.signal);
    return {
      source: intake,
      open: async (message) => {
        const payload = await openPayload(message);
        const firstDelivered = this.#arrivals.firstDelivered(message);
        const loads = await openLoads(message, payload, documents, firstDelivered, this.#settings.batchSize);
        this.#opened.set(message, { payload, captured: loads[0] === undefined ? 0 : capturedAt(loads[0]) });
        return loads;
      },
      bytesOf,
      countOf,
      deliver: (loads) => target.deliver(loads),
      deadLetter: async (message, load, refusal) => {
        if (load === undefined) {
          this.#observer.foreign();
          this.#observer.refused({ subject: message.subject }, refusal);
          await this.#letters.keep({ is: 'unreadable' }, message, refusal);
          return;
        }
        for (const { event } of itemsOf(load)) {
          this.#observer.refused({ index: event.index, id: event.id }, refusal);
          const targetIndex = this.#names.target(event.index).name;
          await this.#letters.keep({ is: 'change', event, targetIndex }, message, refusal);
        }
      },
    };
  }

  #settled(message: Message): void {
    const opened = this.#opened.get(message);
    this.#observer.settled(opened?.captured ?? 0);
    // Nobody looks at its documents any more.
    if (opened !== undefined && opened.payload !== message.payload) freeMemory(opened.payload);
  }

  async #watchLag(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        this.#observer.lag(await this.#source.lag());
        this.#observer.trouble('consumer', undefined);
      } catch (error) {
        if (!this.#stopping.signal.aborted && this.#peers.link.connected) this.#observer.trouble('consumer', error);
      }
      await pause(lagEveryMs, this.#stopping.signal);
    }
  }
}
