import type { Msg } from '@nats-io/transport-node';
import { backoffMs } from '../core/backoff.ts';
import { GatewayError } from '../core/errors.ts';
import { AckWindow } from './ack-window.ts';
import { pause, systemClock, type Clock } from './clock.ts';
import type { LinkEvent, NatsLink } from './connect.ts';
import { findConsumer } from './consumer.ts';
import type { Origin } from './delivery.ts';
import { natsFailure, notPermitted } from './failures.ts';
import { ensureOrderedConsumer, letExpire, setBack, type OrderedConsumer } from './ordered-consumer.ts';
import { Pull } from './pull.ts';
import { streamMissing } from './publish-verdict.ts';
import { streamIdentity } from './streams.ts';
import { bodyOf, SubjectTexts, type WireMessage } from './wire.ts';

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
  /** In stream order, each once. The message's bytes hold only until this returns. `pending`: how many the consumer has yet to deliver. */
  onMessage(message: WireMessage, pending: number): void;
  /** The server has confirmed that everything up to here is acknowledged. */
  onAcknowledged?(sequence: number): void;
  onWarning?(warning: GatewayError): void;
  /** It delivers nothing more: STREAM_RECREATED, STREAM_MISSING, CONSUMER_SHAPE, NATS_*. */
  onEnd(error: GatewayError): void;
};

/** The end of what becomes durable together. */
export type Mark = { readonly sequence: number; reply: string | undefined; readonly messages: number; readonly bytes: number };

const requests = 2;
/** Subject, reply subject and the like count against a request's bytes, above max_payload. */
const addressBytesMax = 8_192;
const watchEveryMs = 1_000;
const restore = { minMs: 50, maxMs: 5_000 };
const ackPatienceMs = 5_000;

/**
 * Opens a durable pull consumer that is read by one source at a time, in order, and acknowledged in bulk. Deliveries carry a number that
 * rises by one: where one is missing, and after every reconnect, the consumer is set back to what is not acknowledged, and what was seen
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
  readonly #acks: AckWindow;
  readonly #pulls: Pull[];
  readonly #subjects = new SubjectTexts();
  readonly #unwatch: () => void;
  readonly #marks = new Map<number, Mark>();
  readonly #seen = { messages: 0, bytes: 0 };
  readonly #settled = { messages: 0, bytes: 0 };
  /** The highest message that was given out, and the reply subject of the last delivery. */
  #highest: number;
  #lastReply: Msg | undefined;
  /** Everything up to here is durable, and acknowledged or to be. */
  #durable: number;
  #again: { sequence: number; reply: string } | undefined;
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
    this.#acks = new AckWindow(link, clock);
    this.#pulls = Array.from(
      { length: requests },
      () =>
        new Pull(link, settings.stream, settings.consumer, clock, {
          onMessage: (received, origin, bytes) => this.#receive(received, origin, bytes),
          onEnd: (suspect) => (suspect === undefined ? this.refill() : void this.#restore(suspect)),
          onDenied: (error) => this.#end(natsFailure(error, `reading stream ${settings.stream}`)),
        }),
    );
    this.#unwatch = link.watch((event) => this.#linkChanged(event));
    void link.connection.closed().then(() => this.#end(new GatewayError('NATS_CLOSED', 'the NATS connection is closed')));
    this.#watch();
  }

  /** Delivered and not settled. */
  get outstanding(): { messages: number; bytes: number } {
    return { messages: this.#seen.messages - this.#settled.messages, bytes: this.#seen.bytes - this.#settled.bytes };
  }

  /** Marks what was given out so far, to be settled when it is durable. In order; marks that are not settled are few. */
  mark(): Mark {
    const mark = { sequence: this.#highest, reply: this.#lastReply?.reply, ...this.#seen };
    this.#marks.set(mark.sequence, mark);
    return mark;
  }

  /** Everything up to the mark is durable: it is acknowledged, and makes room. To be called in the order of the marks. */
  settle(mark: Mark): void {
    this.#marks.delete(mark.sequence);
    this.#durable = mark.sequence;
    Object.assign(this.#settled, { messages: mark.messages, bytes: mark.bytes });
    if (mark.reply !== undefined) this.#acknowledge(mark.sequence, mark.reply);
    this.refill();
  }

  /** Resolves when the server has confirmed all that was settled, or after a few seconds. */
  async confirmed(): Promise<void> {
    await Promise.race([this.#acks.idle(), pause(this.#clock, ackPatienceMs)]);
  }

  /** Whether anything is left that the consumer has not delivered. Throws NATS_*, STREAM_MISSING. */
  async pending(): Promise<number> {
    const info = await findConsumer(this.#link, this.#settings);
    return info === undefined ? Infinity : info.num_pending;
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
    this.#acks.close();
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

  /** Sets the consumer back. Throws what keeps it from being so. */
  async position(): Promise<void> {
    this.#positions++;
    for (const pull of this.#pulls) pull.renew();
    this.#acks.forget('the consumer is set back');
    this.#again = undefined;
    this.#lastReply = undefined;
    for (const mark of this.#marks.values()) mark.reply = undefined;
    const identity = await streamIdentity(this.#link, this.#settings.stream);
    if (identity === undefined) throw streamMissing(this.#settings.stream);
    if (identity.created !== this.#settings.streamCreated) {
      throw new GatewayError('STREAM_RECREATED', `stream ${this.#settings.stream} was made anew`, {
        hint: 'what it holds now is read from its start',
        transient: true,
      });
    }
    const wanted = { ...this.#settings, startSequence: this.#durable + 1 };
    const { made } = await ensureOrderedConsumer(this.#link, wanted);
    if (made && this.#positions > 1) this.#warn('CONSUMER_RECREATED', 'its consumer was deleted, and is made anew where it was');
    const back = this.#settings.oldServer === true ? letExpire : setBack;
    const { consumerSequence, sequence } = await back(this.#link, wanted, this.#clock);
    this.#next = consumerSequence;
    this.#first = sequence;
    this.#restoring = false;
  }

  #receive(received: Msg, origin: Origin, bytes: number): void {
    if (this.#restoring || this.#stopped) return;
    const { sequence, timestamp, nanos } = origin;
    if (origin.consumerSequence !== this.#next || (this.#first !== undefined && sequence > this.#first)) {
      void this.#restore('a delivery is missing');
      return;
    }
    this.#next++;
    this.#first = undefined;
    this.#failures = 0;
    if (sequence <= this.#highest) {
      this.#seenAgain(sequence, received);
      return;
    }
    this.#confirmAgain();
    this.#highest = sequence;
    this.#lastReply = received;
    this.#seen.messages++;
    this.#seen.bytes += bytes;
    const { headers, payload } = bodyOf(received);
    const subject = this.#subjects.of(received);
    this.#events.onMessage({ subject, headers, payload, sequence, timestamp, nanos }, origin.pending);
  }

  /** After the consumer was set back: what is durable is acknowledged under its new reply subject. */
  #seenAgain(sequence: number, received: Msg): void {
    const mark = this.#marks.get(sequence);
    if (mark !== undefined) mark.reply = received.reply;
    if (sequence <= this.#durable) this.#again = { sequence, reply: received.reply ?? '' };
    else this.#confirmAgain();
    if (sequence === this.#highest) this.#lastReply = received;
  }

  #confirmAgain(): void {
    if (this.#again === undefined) return;
    this.#acknowledge(this.#again.sequence, this.#again.reply);
    this.#again = undefined;
  }

  #acknowledge(sequence: number, reply: string): void {
    const positions = this.#positions;
    this.#acks.ack(sequence, reply).then(
      () => this.#events.onAcknowledged?.(sequence),
      () => {
        if (positions === this.#positions) void this.#restore('an acknowledgement was not confirmed');
      },
    );
  }

  /** Looks after requests from which nothing is heard. */
  #watch(): void {
    this.#cancelWatch = this.#clock.after(watchEveryMs, () => {
      this.#confirmAgain();
      if (this.#link.connected && this.#pulls.some((pull) => pull.isSilent())) void this.#restore('missed heartbeats');
      else this.refill();
      this.#watch();
    });
  }

  #linkChanged(event: LinkEvent): void {
    if (event.is === 'connected') void this.#restore(undefined);
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
        if (!failure.transient || failure.code === 'STREAM_RECREATED' || failure.code === 'STREAM_MISSING') {
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
