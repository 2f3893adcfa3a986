import type { Msg, Subscription } from '@nats-io/transport-node';
import { createInbox } from '@nats-io/transport-node';
import { GatewayError } from '../core/errors.ts';
import type { OutgoingMessage, Stored } from '../core/strategy.ts';
import { systemClock, type Clock } from './clock.ts';
import type { LinkEvent, NatsLink } from './connect.ts';
import { natsFailure, notPermitted } from './failures.ts';
import { Inspection } from './inspection.ts';
import { invalid, prepare, type Pending } from './outgoing.ts';
import { Pace } from './pace.ts';
import type { JetStreamSink, SinkEvents, SinkSettings } from './sink-settings.ts';
import { pubAckReader } from './puback.ts';
import { foreignStream, judgeRefusal, tooLarge } from './publish-verdict.ts';
import { Fifo } from './fifo.ts';

const defaults = {
  windowMessages: 4_096,
  windowBytes: 32 * 2 ** 20,
  queueMessages: 65_536,
  ackTimeoutMs: 5_000,
  highestSequence: 0,
};
const tickMs = 100;
const tellRetryEveryMs = 1_000;

/**
 * Publishes to one stream with a window over one reply subject. `publish` rejects only for what does not pass by itself:
 * MESSAGE_TOO_LARGE, STREAM_MISSING, STREAM_MISMATCH, STREAM_SUBJECT, STREAM_REFUSED, SINK_OVERRUN, SINK_CLOSED, NATS_CLOSED,
 * NATS_PERMISSION, MESSAGE_INVALID. All else is tried again without a limit, under the same deduplication id; a message without an id may
 * then be stored twice. The order of publishing is kept unless a message has to be tried again.
 */
export function openSink(
  link: NatsLink,
  settings: SinkSettings,
  events: SinkEvents = {},
  clock: Clock = systemClock,
): JetStreamSink {
  return new Sink(link, { ...defaults, ...settings }, events, clock);
}

class Sink implements JetStreamSink {
  readonly #link: NatsLink;
  readonly #settings: Required<SinkSettings>;
  readonly #events: SinkEvents;
  readonly #clock: Clock;
  readonly #inbox: string;
  readonly #replies: Subscription;
  readonly #unwatch: () => void;
  readonly #read = pubAckReader();
  readonly #window = new Map<number, Pending>();
  readonly #queue = new Fifo<Pending>();
  /** In the order of publishing, whatever the order in which they failed: a second cut comes before all of the first one is sent again. */
  readonly #again: Pending[] = [];
  #roomWaiters: (() => void)[] = [];
  #idleWaiters: (() => void)[] = [];
  #bytes = 0;
  #air = 0;
  readonly #pace: Pace;
  readonly #inspection: Inspection;
  #cancelTick: (() => void) | undefined;
  #token = 0;
  #regressToken = 0;
  #refusedForSpace = 0;
  #toldRetryAt = 0;
  #ended: GatewayError | undefined;
  highestSequence: number;

  constructor(link: NatsLink, settings: Required<SinkSettings>, events: SinkEvents, clock: Clock) {
    this.#link = link;
    this.#settings = settings;
    this.#events = events;
    this.#clock = clock;
    this.#inspection = new Inspection(link, settings.stream, clock);
    this.#pace = new Pace(settings.windowMessages, clock, () => this.#pump());
    this.highestSequence = settings.highestSequence;
    this.#inbox = `${createInbox(link.inboxPrefix)}.`;
    this.#replies = link.connection.subscribe(`${this.#inbox}*`, { callback: (error, reply) => this.#answered(error, reply) });
    this.#unwatch = link.watch((event) => this.#linkChanged(event));
  }

  get inFlight(): { messages: number; bytes: number } {
    return { messages: this.#window.size, bytes: this.#bytes };
  }

  get full(): boolean {
    return this.#refusedForSpace > 0;
  }

  publish(message: OutgoingMessage): Promise<Stored> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal(message);
      if (refusal !== undefined) {
        reject(refusal);
        return;
      }
      const { headers, bytes } = prepare(this.#settings.stream, message);
      if (bytes > this.#link.maxPayload) {
        reject(
          tooLarge(message.subject, `${bytes} bytes with headers, and max_payload of the server is ${this.#link.maxPayload}`),
        );
        return;
      }
      const token = ++this.#token;
      const { subject, payload } = message;
      const pending: Pending = {
        token,
        subject,
        payload,
        headers,
        bytes,
        resolve,
        reject,
        state: 'queued',
        dueAt: 0,
        above: 0,
        refusedForSpace: false,
      };
      this.#queue.push(pending);
      this.#pump();
    });
  }

  room(): Promise<void> {
    if (this.#ended !== undefined || (this.#queue.size === 0 && this.#hasRoom(0))) return Promise.resolve();
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  kick(): void {
    this.#pace.kick();
    this.#pump();
  }

  abort(error: GatewayError): void {
    const all = [...this.#window.values(), ...this.#queue];
    this.#queue.clear();
    this.#again.length = 0;
    for (const pending of all) this.#settle(pending, error);
    this.#inspection.allIsWell();
    this.#pump();
  }

  async close(): Promise<void> {
    if (this.#window.size > 0 || this.#queue.size > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    this.#end(new GatewayError('SINK_CLOSED', `the sink of stream ${this.#settings.stream} is closed`));
  }

  #refusal(message: OutgoingMessage): GatewayError | undefined {
    if (this.#ended !== undefined) return this.#ended;
    if (this.#queue.size >= this.#settings.queueMessages) {
      const text = `${this.#queue.size} messages wait to be published to stream ${this.#settings.stream}`;
      return new GatewayError('SINK_OVERRUN', text, { hint: 'wait for room() before publishing' });
    }
    return invalid(message);
  }

  #hasRoom(bytes: number): boolean {
    if (this.#window.size === 0) return true;
    return this.#window.size < this.#settings.windowMessages && this.#bytes + bytes <= this.#settings.windowBytes;
  }

  #pump(): void {
    while (this.#ended === undefined && this.#link.connected && this.#pace.allows(this.#air)) {
      const next = this.#next();
      if (next === undefined) break;
      this.#send(next);
    }
    if (this.#cancelTick === undefined && this.#window.size + this.#queue.size > 0) {
      this.#cancelTick = this.#clock.after(tickMs, () => this.#tick());
    }
    if (this.#roomWaiters.length > 0 && this.#queue.size === 0 && this.#hasRoom(0)) {
      const waiters = this.#roomWaiters;
      this.#roomWaiters = [];
      for (const resolve of waiters) resolve();
    }
  }

  #next(): Pending | undefined {
    for (;;) {
      const again = this.#again.shift();
      if (again === undefined) break;
      if (again.state === 'again') return again;
    }
    const first = this.#queue.peek();
    if (first === undefined || !this.#hasRoom(first.bytes)) return undefined;
    this.#queue.shift();
    this.#window.set(first.token, first);
    this.#bytes += first.bytes;
    first.above = this.highestSequence;
    return first;
  }

  #send(pending: Pending): void {
    pending.state = 'air';
    pending.dueAt = this.#clock.now() + this.#settings.ackTimeoutMs;
    this.#air++;
    try {
      const reply = this.#inbox + pending.token.toString(36);
      this.#link.connection.publish(pending.subject, pending.payload, { reply, headers: pending.headers });
    } catch (error) {
      const size = pending.bytes > this.#link.maxPayload;
      this.#settle(
        pending,
        size ? tooLarge(pending.subject, `max_payload is ${this.#link.maxPayload}`) : natsFailure(error, 'publishing'),
      );
    }
  }

  #answered(error: Error | null, reply: Msg): void {
    if (error !== null) {
      this.#end(natsFailure(error, `subscribing to replies on ${this.#inbox}*`));
      return;
    }
    const pending = this.#window.get(Number.parseInt(reply.subject.slice(this.#inbox.length), 36));
    if (pending === undefined) return;
    const ack = reply.data.length === 0 ? undefined : this.#read(reply.data);
    if (ack?.is === 'stored') this.#stored(pending, ack);
    else if (ack?.is === 'refused') {
      const verdict = judgeRefusal(this.#settings.stream, pending.subject, ack);
      if (verdict.is === 'lost') this.#settle(pending, verdict.error);
      else this.#tryAgain(pending, verdict.is, verdict.reason);
    } else this.#tryAgain(pending, 'suspect', reply.headers?.code === 503 ? 'no stream answers' : 'an answer that is none');
    this.#pump();
  }

  #stored(pending: Pending, stored: Stored): void {
    const { stream, sequence, duplicate } = stored;
    if (stream !== this.#settings.stream) {
      this.#settle(pending, foreignStream(this.#settings.stream, stream, pending.subject));
      return;
    }
    this.#pace.stored();
    this.#inspection.allIsWell();
    if (!duplicate && sequence <= pending.above && pending.token > this.#regressToken) {
      // What is under way now was published before the regress was known: it is not told again.
      this.#regressToken = this.#token;
      const highest = this.highestSequence;
      this.highestSequence = sequence;
      this.#events.onRegress?.({ sequence, highest });
    } else if (sequence > this.highestSequence) this.highestSequence = sequence;
    this.#settle(pending, { stream, sequence, duplicate });
  }

  #settle(pending: Pending, result: Stored | GatewayError): void {
    if (pending.state === 'done') return;
    if (pending.state === 'air') this.#air--;
    if (this.#window.delete(pending.token)) this.#bytes -= pending.bytes;
    pending.state = 'done';
    if (result instanceof GatewayError) pending.reject(result);
    else pending.resolve(result);
    if (pending.refusedForSpace && --this.#refusedForSpace === 0) this.#events.onFull?.(false, '');
    if (this.#window.size > 0 || this.#queue.size > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  #tryAgain(pending: Pending, why: 'full' | 'later' | 'suspect', reason: string): void {
    if (pending.state !== 'air') return;
    pending.state = 'again';
    this.#air--;
    this.#again.splice(this.#again.findLastIndex(({ token }) => token < pending.token) + 1, 0, pending);
    this.#pace.refused();
    const now = this.#clock.now();
    if (now - this.#toldRetryAt >= tellRetryEveryMs) {
      this.#toldRetryAt = now;
      this.#events.onRetry?.(reason);
    }
    if (why === 'full' && !pending.refusedForSpace) {
      pending.refusedForSpace = true;
      if (++this.#refusedForSpace === 1) this.#events.onFull?.(true, reason);
    }
    if (why === 'suspect' || (why === 'full' && this.#pace.refusals > 3)) void this.#inspect(pending);
  }

  /** Finds out why a message is not taken, where waiting may be in vain. */
  async #inspect(pending: Pending): Promise<void> {
    const wrong = await this.#inspection.look(pending);
    if (wrong === undefined) return;
    if (wrong.code === 'STREAM_MISSING') this.abort(wrong);
    else this.#settle(pending, wrong);
    this.#pump();
  }

  #tick(): void {
    this.#cancelTick = undefined;
    const now = this.#clock.now();
    for (const pending of this.#window.values()) {
      if (pending.state === 'air' && pending.dueAt <= now) this.#tryAgain(pending, 'later', 'no answer in time');
    }
    this.#pump();
  }

  #linkChanged(event: LinkEvent): void {
    if (event.is === 'connected') {
      // What was in the air is stored or lost, and its answer is lost in any case.
      for (const pending of this.#window.values()) {
        if (pending.state === 'air') this.#tryAgain(pending, 'later', 'the connection was cut');
      }
      this.kick();
    } else if (event.is === 'closed') this.#end(new GatewayError('NATS_CLOSED', 'the NATS connection is closed'));
    else if (event.is === 'denied' && event.operation === 'publish') {
      const error = notPermitted(`publishing to ${event.subject}`);
      for (const pending of this.#window.values()) if (pending.subject === event.subject) this.#settle(pending, error);
      this.#pump();
    }
  }

  #end(error: GatewayError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#cancelTick?.();
    this.#pace.stop();
    this.#unwatch();
    this.abort(error);
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
    if (!this.#replies.isClosed()) this.#replies.unsubscribe();
  }
}
