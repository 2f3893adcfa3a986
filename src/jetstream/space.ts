import type { StreamInfo } from '@nats-io/jetstream';
import { GatewayError } from '../core/errors.ts';
import { commonAckFloor } from './ack-floor.ts';
import { firstSequence } from './api.ts';
import { systemClock, type Clock } from './clock.ts';
import type { NatsLink } from './connect.ts';
import { natsFailure } from './failures.ts';
import { findStream } from './streams.ts';

export type SpaceSettings = {
  stream: string;
  /** How long messages stay that everyone has acknowledged, as long as there is room. */
  keepMs: number;
  everyMs?: number;
  /** Part of the byte limit from which on space is short. */
  shortAt?: number;
};

export type SpaceEvents = {
  /** Everything up to `through` was purged. */
  onPurged?: (through: number, bytesFreed: number) => void;
  /** A look failed; the next one comes by itself. */
  onFailure?: (error: GatewayError) => void;
};

export type StreamSpace = {
  start(): void;
  /** Ends the timer and waits for a look under way. */
  stop(): Promise<void>;
  /** One look, and a purge where one is due. Joins a look that is under way. Throws NATS_*, STREAM_MISSING. */
  check(): Promise<void>;
  /** A publish was refused for space: looks soon, and again every 200 ms while the stream is full. */
  needed(): void;
  /** The sink's `onFull` goes here. */
  noteFull(full: boolean): void;
  /** Every durable consumer has acknowledged everything through this sequence; 0 without durable consumers. */
  ackFloor(): Promise<number>;
  /** As of the last look. */
  readonly bytes: number;
  readonly messages: number;
  /** -1: without a limit. */
  readonly maxBytes: number;
  /** Since when publishes are refused, in ms since 1970. */
  readonly fullSince: number | undefined;
  /** Highest sequence this object has purged. */
  readonly purgedSeq: number;
};

const defaults = { everyMs: 5_000, shortAt: 0.8 };
const whileFullMs = 200;

/**
 * Keeps a stream of limits retention from filling up: purges what every durable consumer has acknowledged (DESIGN D5, *Space*). To be run
 * by the one publisher that owns the stream.
 */
export function openSpace(
  link: NatsLink,
  settings: SpaceSettings,
  events: SpaceEvents = {},
  clock: Clock = systemClock,
): StreamSpace {
  return new Space(link, { ...defaults, ...settings }, events, clock);
}

class Space implements StreamSpace {
  readonly #link: NatsLink;
  readonly #settings: Required<SpaceSettings>;
  readonly #events: SpaceEvents;
  readonly #clock: Clock;
  #running = false;
  #cancel: (() => void) | undefined;
  #dueAt = Infinity;
  #look: Promise<void> | undefined;
  bytes = 0;
  messages = 0;
  maxBytes = -1;
  fullSince: number | undefined;
  purgedSeq = 0;

  constructor(link: NatsLink, settings: Required<SpaceSettings>, events: SpaceEvents, clock: Clock) {
    this.#link = link;
    this.#settings = settings;
    this.#events = events;
    this.#clock = clock;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#cancel?.();
    this.#dueAt = Infinity;
    await this.#look?.catch(() => undefined);
  }

  check(): Promise<void> {
    this.#look ??= this.#once().finally(() => (this.#look = undefined));
    return this.#look;
  }

  needed(): void {
    if (this.#running) this.#schedule(whileFullMs);
  }

  noteFull(full: boolean): void {
    if (!full) {
      this.fullSince = undefined;
      return;
    }
    this.fullSince ??= this.#clock.now();
    if (this.#running) this.#schedule(0);
  }

  async ackFloor(): Promise<number> {
    const info = await this.#info();
    return commonAckFloor(this.#link, this.#settings.stream, info.state.last_seq);
  }

  /** Of several looks asked for, the earliest is kept: a look that is asked for again and again must not move away. */
  #schedule(delayMs: number): void {
    const at = this.#clock.now() + delayMs;
    if (at >= this.#dueAt) return;
    this.#cancel?.();
    this.#dueAt = at;
    this.#cancel = this.#clock.after(delayMs, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    this.#dueAt = Infinity;
    await this.check().catch((error: unknown) =>
      this.#events.onFailure?.(natsFailure(error, `making room in ${this.#settings.stream}`)),
    );
    if (this.#running) this.#schedule(this.fullSince === undefined ? this.#settings.everyMs : whileFullMs);
  }

  async #info(): Promise<StreamInfo> {
    const info = await findStream(this.#link, this.#settings.stream);
    if (info !== undefined) return info;
    throw new GatewayError('STREAM_MISSING', `stream ${this.#settings.stream} is not there`, {
      hint: 'check --stream (STREAM)',
      transient: true,
    });
  }

  async #once(): Promise<void> {
    const info = await this.#info();
    this.#read(info);
    const { first_seq: first, last_seq: last, messages } = info.state;
    if (messages === 0) return;
    // The age is looked at first: without old messages and without a shortage the consumers need not be asked.
    const through = this.#isShort() ? last : await this.#agedThrough(info);
    if (through < first) return;
    const floor = Math.min(through, await commonAckFloor(this.#link, this.#settings.stream, last));
    if (floor < first) return;
    await this.#purge(floor);
  }

  #isShort(): boolean {
    if (this.fullSince !== undefined) return true;
    return this.maxBytes > 0 && this.bytes >= this.maxBytes * this.#settings.shortAt;
  }

  /** The highest sequence of the messages stored more than `keepMs` ago. */
  async #agedThrough(info: StreamInfo): Promise<number> {
    const before = this.#clock.now() - this.#settings.keepMs;
    if (Date.parse(info.state.first_ts) >= before) return 0;
    if (Date.parse(info.state.last_ts) < before) return info.state.last_seq;
    const next = await firstSequence(this.#link, this.#settings.stream, { fromMs: before });
    return next === undefined ? info.state.last_seq : next - 1;
  }

  async #purge(through: number): Promise<void> {
    const before = this.bytes;
    try {
      // Purges what lies below `seq`.
      await this.#link.manager.streams.purge(this.#settings.stream, { seq: through + 1 });
    } catch (error) {
      throw natsFailure(error, `purging stream ${this.#settings.stream} through ${through}`);
    }
    this.#read(await this.#info());
    this.purgedSeq = through;
    this.#events.onPurged?.(through, Math.max(0, before - this.bytes));
  }

  #read(info: StreamInfo): void {
    this.bytes = info.state.bytes;
    this.messages = info.state.messages;
    this.maxBytes = info.config.max_bytes;
  }
}
