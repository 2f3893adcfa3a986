import { pause } from '../core/backoff.ts';
import { GatewayError } from '../core/errors.ts';
import { Intake } from '../core/intake.ts';
import { Pump, type PumpLimits, type PumpStages } from '../core/pump.ts';
import type { Message, Refusal } from '../core/strategy.ts';
import {
  acknowledgedBefore,
  DeadLetters,
  type JetStreamSource,
  openSource,
  readDocuments,
  type Undeliverable,
} from '../jetstream/index.ts';
import type { Probes } from '../service/admin.ts';
import type { Frame } from '../service/run.ts';
import type { GatewaySettings } from './config.ts';
import { Deliverer } from './deliver.ts';
import { Drops } from './drops.ts';
import { reasonsAgainst, shortage } from './health.ts';
import type { GatewayMetrics } from './metrics.ts';
import type { Observer } from './observer.ts';
import { OrderedAcks } from './ordered-acks.ts';
import { OutputSet } from './output-set.ts';
import { type GatewayItem, Rewriter } from './rewriter.ts';
import { Rules } from './rules.ts';
import { type Ground, persist } from './start.ts';
import { ensureUpstream, streamNames } from './topology.ts';

const lookEveryMs = 1_000;
const dropsEveryMs = 250;
const retry = { minMs: 50, maxMs: 5_000 };
const batch = { itemsMax: 64, bytesMax: 2 ** 20, ageMsMax: 2 };
const batchesAtOnce = 32;

type Parts = {
  settings: GatewaySettings;
  frame: Frame;
  observer: Observer;
  ground: Ground;
  names: { upstream: string; downstream: string };
  outputs: OutputSet;
  source: JetStreamSource;
  letters: DeadLetters;
};

/** nats-gateway at work: the pump from one stream to the others, and what stands beside it. */
export class Gateway {
  readonly #parts: Parts;
  readonly #intake: Intake;
  readonly #pump: Pump<GatewayItem>;
  readonly #drops: Drops;
  readonly #rewriter: Rewriter;
  readonly #deliverer: Deliverer;
  readonly #stopping = new AbortController();
  #rules: Rules;

  /** Makes what is missing: streams and consumer. Throws STREAM_*, CONSUMER_SHAPE, NATS_*. */
  static async open(settings: GatewaySettings, frame: Frame, observer: Observer, ground: Ground): Promise<Gateway> {
    const { sides } = ground;
    const names = streamNames(settings, sides.sameServer);
    const rules = new Rules(settings);
    // First the stream downstream: on one server it may have to give up the subjects that the one upstream takes.
    const outputs = await persist(
      () => OutputSet.open(settings, sides, names.downstream, rules.routes, observer),
      frame,
      observer,
    );
    const made = await persist(() => ensureUpstream(settings, sides.upstream, names.upstream), frame, observer);
    for (const warning of made.warnings) observer.notice(warning, { stream: names.upstream });
    const { consumer, ackWait, inflightBytesMax, inflightFramesMax, dlqStream, streamReplicas } = settings;
    const origin = { stream: names.upstream, consumer, hosts: [sides.downstream.server] };
    const letters = await persist(
      () => DeadLetters.open(sides.upstream, { name: dlqStream, replicas: streamReplicas }, origin),
      frame,
      observer,
    );
    const reading = {
      stream: names.upstream,
      consumer,
      ackWaitMs: ackWait,
      windowMessages: inflightFramesMax,
      windowBytes: Math.ceil(inflightBytesMax / 2),
    };
    const source = await persist(
      () =>
        openSource(sides.upstream, reading, {
          onWarning: (warning) => observer.notice(warning.message, { code: warning.code, hint: warning.hint }),
        }),
      frame,
      observer,
    );
    return new Gateway({ settings, frame, observer, ground, names, outputs, source, letters }, rules);
  }

  private constructor(parts: Parts, rules: Rules) {
    this.#parts = parts;
    this.#rules = rules;
    const { observer, outputs, source, names, settings, ground } = parts;
    const upstream = ground.sides.upstream;
    const workingEveryMs = Math.ceil(settings.ackWait / 3);
    this.#rewriter = new Rewriter({
      rules: () => this.#rules,
      outlet: (name) => outputs.get(name),
      documents: readDocuments(upstream),
      stream: names.upstream,
      onFates: (plan, fates, how) => observer.fates(plan, fates, how),
    });
    this.#deliverer = new Deliverer({ output: (name) => outputs.get(name), rewriter: this.#rewriter, observer });
    this.#drops = new Drops({
      rules: () => this.#rules,
      outlet: (name) => outputs.get(name),
      allBefore: (sequence) =>
        acknowledgedBefore(upstream, { stream: names.upstream, consumer: settings.consumer, filterSubjects: [] }, sequence),
      deadLetter: (letter, message, refusal) => this.#keep(letter, message, refusal),
      onPassed: (plan) => {
        observer.trouble('index deletes', undefined);
        observer.dropPassed(plan);
      },
      onTrouble: (error) => observer.trouble('index deletes', error),
      everyMs: dropsEveryMs,
      workingEveryMs,
    });
    const acks = new OrderedAcks();
    this.#intake = new Intake({
      source,
      workingEveryMs,
      take: (delivery) => {
        observer.received(delivery.message);
        return this.#drops.take(delivery) ? undefined : acks.wrap(delivery);
      },
    });
    this.#pump = new Pump(this.#stages(), this.#limits(workingEveryMs), {
      onBlocked: (error) => observer.trouble('delivery', error),
      onDeadLetter: (refusal) => observer.deadLetter(refusal),
      onSettled: (message) => observer.settled(message),
    });
    parts.frame.metrics.beforeScrape(() => this.#measure());
  }

  /** Until `stop()`; throws what cannot be mended from here. */
  async run(): Promise<void> {
    const { observer, names, ground, outputs, letters } = this.#parts;
    const { sides, embedded } = ground;
    const where = {
      upstream: `${names.upstream} on ${sides.upstream.server}`,
      downstream: `${names.downstream} on ${sides.downstream.server}`,
    };
    observer.info('passing on', {
      ...where,
      embedded: embedded !== undefined,
      routes: this.#rules.routes.map(({ name }) => name),
    });
    void this.#look();
    try {
      await this.#pump.run();
    } finally {
      this.#stopping.abort();
      letters.abandon();
      outputs.abandon(stopped());
      await this.#drops.stop();
      await letters.close();
      await outputs.close();
      await sides.upstream.close();
      await sides.downstream.close();
      await embedded?.stop();
    }
  }

  /** Passes on what is held, gives the rest back; `run` ends then. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    // The drain ends in time even if downstream hangs: what is not settled by then comes again.
    const enough = setTimeout(() => {
      this.#pump.abandon();
      this.#parts.outputs.abandon(stopped());
    }, this.#parts.settings.drainTimeout * 0.6);
    enough.unref();
    await this.#pump.stop();
  }

  pause(): void {
    this.#intake.pause();
    this.#parts.observer.info('paused: nothing more is passed on until it is resumed');
  }

  resume(): void {
    this.#intake.resume();
    this.#parts.observer.info('resumed');
  }

  /** Swaps the rules between two messages. Throws what keeps the outputs of new routes from being opened; then the old rules stay. */
  async apply(settings: GatewaySettings): Promise<void> {
    const rules = new Rules(settings);
    await this.#parts.outputs.open(rules.routes);
    this.#rules = rules;
  }

  get reloads(): GatewayMetrics['reloads'] {
    return this.#parts.observer.meters.reloads;
  }

  get probes(): Probes {
    return { live: () => [], ready: () => this.#notReady(), stats: () => this.#stats() };
  }

  #notReady(): string[] {
    const { ground, outputs, observer, letters } = this.#parts;
    return reasonsAgainst(ground, outputs, letters, observer, this.#intake.paused);
  }

  #stats(): object {
    const { ground, names, outputs, observer, source } = this.#parts;
    const { sides, embedded } = ground;
    return {
      upstream: { server: sides.upstream.server, connected: sides.upstream.connected, stream: names.upstream },
      outputs: outputs.stats(),
      ...observer.stats(),
      held: this.#pump.stats,
      outstanding: source.outstanding,
      drops: this.#drops.waiting,
      paused: this.#intake.paused,
      ...(embedded === undefined ? {} : { embedded: embedded.state }),
    };
  }

  #measure(): void {
    const { observer, source, ground, outputs } = this.#parts;
    const { meters } = observer;
    meters.inflightFrames.with({}).set(source.outstanding.messages);
    meters.inflightBytes.with({}).set(this.#pump.stats.heldBytes);
    meters.streamFull.with({}).set(outputs.full.length > 0 ? 1 : 0);
    meters.paused.with({}).set(this.#intake.paused ? 1 : 0);
    if (ground.embedded === undefined) return;
    const { is, restarts } = ground.embedded.state;
    meters.embeddedUp.with({}).set(is === 'running' ? 1 : 0);
    const counted = meters.embeddedRestarts.with({});
    counted.inc(restarts - counted.value);
  }

  #limits(workingEveryMs: number): PumpLimits {
    // Half of what may be in flight is what the source holds.
    const heldBytesMax = Math.ceil(this.#parts.settings.inflightBytesMax / 2);
    return { batch, concurrencyMax: batchesAtOnce, heldBytesMax, retry, attemptsMax: 0, workingEveryMs };
  }

  #stages(): PumpStages<GatewayItem> {
    return {
      source: this.#intake,
      open: (message) => this.#rewriter.open(message),
      bytesOf: (item) =>
        item.is === 'refused'
          ? (item.event.source?.length ?? 0)
          : item.outgoing.reduce((sum, { message }) => sum + message.payload.length, 0),
      deliver: (items) => this.#deliverer.deliver(items),
      deadLetter: async (message, item, refusal) => {
        if (item?.is !== 'refused') return this.#keep({ is: 'unreadable' }, message, refusal);
        return this.#keep({ is: 'change', event: item.event, targetIndex: item.event.index }, message, refusal);
      },
    };
  }

  /** Upstream, so that what may not leave it does not leave it by way of a failure. */
  async #keep(letter: Undeliverable, message: Message, refusal: Refusal): Promise<void> {
    const { observer, letters } = this.#parts;
    observer.refused(
      letter.is === 'change' ? { index: letter.event.index, id: letter.event.id } : { subject: message.subject },
      refusal,
    );
    await letters.keep(letter, message, refusal);
    if (letter.is === 'drop') observer.deadLetter(refusal);
  }

  async #look(): Promise<void> {
    const { observer, source, ground, names, settings } = this.#parts;
    while (!this.#stopping.signal.aborted) {
      observer.look(Date.now());
      try {
        observer.lag(await source.lag());
        const storeBytesMax = ground.embedded === undefined ? undefined : settings.jsMaxFile;
        observer.trouble('upstream space', await shortage(ground.sides.upstream, names.upstream, storeBytesMax));
        observer.trouble('consumer', undefined);
      } catch (error) {
        if (!this.#stopping.signal.aborted && ground.sides.upstream.connected) observer.trouble('consumer', error);
      }
      await pause(lookEveryMs, this.#stopping.signal);
    }
  }
}

function stopped(): GatewayError {
  return new GatewayError('GATEWAY_STOPPING', 'the gateway stops before downstream has taken it', { transient: true });
}
