import { backoffMs } from '../core/backoff.ts';
import { GatewayError } from '../core/errors.ts';
import { pause, systemClock, type Clock } from './clock.ts';
import type { LinkEvent, NatsLink } from './connect.ts';
import { findConsumer } from './consumer.ts';
import type { Origin } from './delivery.ts';
import { natsFailure, notPermitted } from './failures.ts';
import type { Floor } from './floor.ts';
import { beginReading, type FloorParts } from './floor-choice.ts';
import { ensureOrderedConsumer, type OrderedConsumer } from './ordered-consumer.ts';
import { Pull } from './pull.ts';
import { streamMissing } from './publish-verdict.ts';
import { findStream } from './streams.ts';
import type { Frame } from './wire-in.ts';
import { WireMessages, type WireMessage } from './wire.ts';

export type OrderedSettings = Omit<OrderedConsumer, 'startSequence'> & {
  /** The life of the stream that is read: another one ends the source. */
  streamCreated: string;
  /** Everything up to here is durable. */
  durable: number;
  /** Bounds of what was delivered and is not settled. */
  windowMessages: number;
  windowBytes: number;
  /** For tests: do without what nats-server 2.14 brought. */
  oldServer?: boolean;
};

export type OrderedEvents = {
  /** In stream order, each once. The message holds only until this returns. `pending`: how many the consumer has yet to deliver. */
  onMessage(message: WireMessage, pending: number): void;
  /** The server has confirmed that everything up to here is acknowledged. */
  onAcknowledged?(sequence: number): void;
  onWarning?(warning: GatewayError): void;
  /** It delivers nothing more: STREAM_RECREATED, STREAM_MISSING, CONSUMER_SHAPE, NATS_*. */
  onEnd(error: GatewayError): void;
};

/** The end of what becomes durable together. */
export type Mark = { readonly sequence: number; readonly messages: number; readonly bytes: number };

const requests = 2;
/** Subject, reply subject and the like count against a request's bytes, above max_payload. */
const addressBytesMax = 8_192;
const watchEveryMs = 1_000;
const restore = { minMs: 50, maxMs: 5_000 };
const ackPatienceMs = 5_000;

/**
 * Opens a durable pull consumer that is read by one source at a time, in order, and acknowledged in bulk. Deliveries carry a number that
 * rises by one: where one is missing, and after every reconnect, the reading begins again at what is not there, and what was seen
 * before is passed over. Throws STREAM_MISSING, STREAM_RECREATED, CONSUMER_SHAPE, NATS_*.
 */
export async function openOrderedSource(
  link: NatsLink,
  settings: OrderedSettings,
  events: OrderedEvents,
  clock: Clock = systemClock,
): Promise<OrderedSource> {
  const source = new OrderedSource(link, settings, events, clock);
  try {
    await source.position();
  } catch (error) {
    await source.stop();
    throw natsFailure(error, `reading stream ${settings.stream}`);
  }
  source.refill();
  return source;
}

export class OrderedSource {
  readonly #link: NatsLink;
  readonly #settings: OrderedSettings;
  readonly #events: OrderedEvents;
  readonly #clock: Clock;
  readonly #floorParts: FloorParts;
  /** Chosen when the reading begins. */
  #floor: Floor | undefined;
  readonly #pulls: Pull[];
  readonly #messages = new WireMessages();
  readonly #unwatch: () => void;
  readonly #seen = { messages: 0, bytes: 0 };
  readonly #settled = { messages: 0, bytes: 0 };
  /** The highest message that was given out. */
  #highest: number;
  /** Everything up to here is durable, and acknowledged or to be. */
  #durable: number;
  /** What the server calls the consumer that is read. */
  #reads: string;
  #next = 0;
  /** How often the consumer was set back. */
  #positions = 0;
  #first: number | undefined;
  #restoring = true;
  #failures = 0;
  #stopped = false;
  #paused = false;
  #cancelWatch: (() => void) | undefined;

  constructor(link: NatsLink, settings: OrderedSettings, events: OrderedEvents, clock: Clock) {
    this.#link = link;
    this.#settings = settings;
    this.#events = events;
    this.#clock = clock;
    this.#highest = this.#durable = settings.durable;
    this.#reads = settings.consumer;
    this.#floorParts = {
      link,
      clock,
      oldServer: settings.oldServer === true,
      events: {
        onAcknowledged: (sequence) => events.onAcknowledged?.(sequence),
        onSuspect: (why) => void this.#restore(why),
      },
    };
    this.#pulls = Array.from(
      { length: requests },
      () =>
        new Pull(link, settings.stream, settings.consumer, clock, {
          onFrame: (frame, origin, bytes) => this.#receive(frame, origin, bytes),
          onEnd: (suspect) => (suspect === undefined ? this.refill() : void this.#restore(suspect)),
          onDenied: (error) => this.#end(natsFailure(error, `reading stream ${settings.stream}`)),
        }),
    );
    this.#unwatch = link.watch((event) => this.#linkChanged(event));
    this.#watch();
  }

  /** Delivered and not settled. */
  get outstanding(): { messages: number; bytes: number } {
    return { messages: this.#seen.messages - this.#settled.messages, bytes: this.#seen.bytes - this.#settled.bytes };
  }

  /** Marks what was given out so far, to be settled when it is durable. In order; marks that are not settled are few. */
  mark(): Mark {
    this.#floor?.mark(this.#highest);
    return { sequence: this.#highest, ...this.#seen };
  }

  /** Everything up to the mark is durable: it is acknowledged, and makes room. To be called in the order of the marks. */
  settle(mark: Mark): void {
    this.#durable = mark.sequence;
    Object.assign(this.#settled, { messages: mark.messages, bytes: mark.bytes });
    this.#floor?.settle(mark.sequence);
    this.refill();
  }

  /** Resolves when the server has confirmed all that was settled, or after a few seconds. */
  async confirmed(): Promise<void> {
    await Promise.race([this.#floor?.idle(), pause(this.#clock, ackPatienceMs)]);
  }

  /** Whether anything is left that the consumer has not delivered; Infinity while that is not known. Throws NATS_*, STREAM_MISSING. */
  async pending(): Promise<number> {
    const positions = this.#positions;
    const info = await findConsumer(this.#link, { stream: this.#settings.stream, consumer: this.#reads });
    // What an earlier reading has left says nothing: its deliveries may be lost.
    return info === undefined || this.#restoring || positions !== this.#positions ? Infinity : info.num_pending;
  }

  /** Asks for nothing more; what is under way arrives. */
  pause(): void {
    this.#paused = true;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#cancelWatch?.();
    this.#unwatch();
    await Promise.all(this.#pulls.map((pull) => pull.close().catch(() => undefined)));
    await this.#floor?.close();
  }

  refill(): void {
    if (this.#stopped || this.#paused || this.#restoring || !this.#link.connected) return;
    const { windowMessages, windowBytes } = this.#settings;
    const largest = this.#link.maxPayload + addressBytesMax;
    let messages = windowMessages - this.outstanding.messages;
    let bytes = Math.max(windowBytes, requests * largest) - this.outstanding.bytes;
    for (const pull of this.#pulls) {
      messages -= pull.leftMessages;
      bytes -= pull.leftBytes;
    }
    const share = Math.ceil(windowMessages / requests / 4);
    for (const pull of this.#pulls) {
      if (pull.open) continue;
      // Small requests cost as much as large ones.
      const enough = messages >= share / 2 || (messages > 0 && this.outstanding.messages === 0);
      if (!enough || bytes < largest) return;
      const batch = Math.min(share, messages);
      const room = Math.min(bytes, Math.max(largest, Math.floor(windowBytes / requests / 4)));
      pull.ask(batch, room);
      messages -= batch;
      bytes -= room;
    }
  }

  /** Sets the reading to what is not there yet. Throws what keeps it from being so. */
  async position(): Promise<void> {
    this.#positions++;
    for (const pull of this.#pulls) pull.renew();
    const info = await findStream(this.#link, this.#settings.stream);
    if (info === undefined) throw streamMissing(this.#settings.stream);
    if (info.created !== this.#settings.streamCreated) {
      throw new GatewayError('STREAM_RECREATED', `stream ${this.#settings.stream} was made anew`, {
        hint: 'what it holds now is read from its start',
        transient: true,
      });
    }
    if (info.state.last_seq < this.#highest) {
      const text = `stream ${this.#settings.stream} ends at ${info.state.last_seq}, and ${this.#highest} was read of it`;
      throw new GatewayError('STREAM_ROLLED_BACK', text, { hint: 'it is read again from what was stored', transient: true });
    }
    const wanted = { ...this.#settings, startSequence: this.#durable + 1 };
    const { made } = await ensureOrderedConsumer(this.#link, wanted);
    if (made && this.#positions > 1) this.#warn('CONSUMER_RECREATED', 'its consumer was deleted, and is made anew where it was');
    const { floor, beginning } = await beginReading(this.#floor, this.#floorParts, info.config.retention, wanted, this.#highest);
    this.#floor = floor;
    const { consumer, consumerSequence, sequence } = beginning;
    this.#reads = consumer;
    for (const pull of this.#pulls) pull.askOf(consumer);
    this.#next = consumerSequence;
    this.#first = sequence;
    this.#restoring = false;
  }

  #receive(frame: Frame, origin: Origin, bytes: number): void {
    if (this.#restoring || this.#stopped) return;
    const { sequence } = origin;
    if (origin.consumerSequence !== this.#next || (this.#first !== undefined && sequence > this.#first)) {
      void this.#restore('a delivery is missing');
      return;
    }
    this.#next++;
    this.#first = undefined;
    this.#failures = 0;
    if (sequence <= this.#highest) {
      this.#floor?.givenBefore(sequence, frame);
      return;
    }
    this.#floor?.giving(frame);
    this.#highest = sequence;
    this.#seen.messages++;
    this.#seen.bytes += bytes;
    this.#events.onMessage(this.#messages.of(frame, origin), origin.pending);
  }

  /** Looks after requests from which nothing is heard. */
  #watch(): void {
    this.#cancelWatch = this.#clock.after(watchEveryMs, () => {
      this.#floor?.pause();
      if (this.#link.connected && this.#pulls.some((pull) => pull.isSilent())) void this.#restore('missed heartbeats');
      else this.refill();
      this.#watch();
    });
  }

  #linkChanged(event: LinkEvent): void {
    if (event.is === 'connected') void this.#restore(undefined);
    else if (event.is === 'closed') this.#end(new GatewayError('NATS_CLOSED', 'the NATS connection is closed'));
    else if (event.is === 'denied' && this.#pulls.some((pull) => pull.subject === event.subject)) {
      this.#end(notPermitted(`asking for messages on ${event.subject}`));
    }
  }

  async #restore(suspect: string | undefined): Promise<void> {
    if (this.#restoring || this.#stopped) return;
    this.#restoring = true;
    if (suspect !== undefined) this.#warn('PULL_FAILED', suspect);
    if (this.#failures++ > 0) await pause(this.#clock, backoffMs(this.#failures, restore));
    for (let attempt = 1; !this.#stopped; attempt++) {
      try {
        await this.position();
        this.refill();
        return;
      } catch (error) {
        const failure = natsFailure(error, `restoring consumer ${this.#settings.consumer}`);
        if (!failure.transient || streamChanged.has(failure.code)) {
          this.#end(failure);
          return;
        }
        if (attempt === 1) this.#events.onWarning?.(failure);
      }
      await pause(this.#clock, backoffMs(attempt, restore));
    }
  }

  #warn(code: string, text: string): void {
    const where = `reading stream ${this.#settings.stream}: ${text}`;
    this.#events.onWarning?.(new GatewayError(code, where, { hint: 'nothing to do', transient: true }));
  }

  #end(error: GatewayError): void {
    if (this.#stopped) return;
    void this.stop();
    this.#events.onEnd(error);
  }
}

/** What the reading cannot go on after: whoever has ordered it begins anew. */
const streamChanged = new Set(['STREAM_RECREATED', 'STREAM_MISSING', 'STREAM_ROLLED_BACK']);
