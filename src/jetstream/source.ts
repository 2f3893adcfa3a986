import type { Msg } from '@nats-io/transport-node';
import { backoffMs } from '../core/backoff.ts';
import { GatewayError } from '../core/errors.ts';
import type { Delivery } from '../core/strategy.ts';
import { AckWindow } from './ack-window.ts';
import { pause, systemClock, type Clock } from './clock.ts';
import type { LinkEvent, NatsLink } from './connect.ts';
import { ensureConsumer, findConsumer, type ConsumerSettings } from './consumer.ts';
import { ReceivedDelivery, receivedMessage, type Origin, type Settlement } from './delivery.ts';
import { natsFailure, notPermitted } from './failures.ts';
import { Fifo } from './fifo.ts';
import { Pull } from './pull.ts';
import type { JetStreamSource, SourceEvents, SourceLag, SourceSettings } from './source-settings.ts';
import { checkName } from './subjects.ts';

const defaults = {
  filterSubjects: [],
  ackWaitMs: 60_000,
  maxAckPending: 4_096,
  windowMessages: 2_048,
  windowBytes: 32 * 2 ** 20,
};
/** Subject, reply subject and the like count against a request's bytes, above max_payload. */
const addressBytesMax = 8_192;
const requests = 2;
const watchEveryMs = 1_000;
const restore = { minMs: 50, maxMs: 3_000 };
const workingPayload = new TextEncoder().encode('+WPI');

/**
 * Opens a durable pull consumer, which is made or adopted. Throws STREAM_MISSING, CONSUMER_SHAPE, NAME_INVALID, NATS_*. Once open it
 * survives reconnects, restarts of the server, and the loss of consumer and stream. `ack` rejects only with ACK_LOST: the message
 * will be delivered again. The window's bound can be passed by one request after missed heartbeats.
 */
export async function openSource(
  link: NatsLink,
  settings: SourceSettings,
  events: SourceEvents = {},
  clock: Clock = systemClock,
): Promise<JetStreamSource> {
  checkName(settings.stream, '--stream (STREAM)');
  checkName(settings.consumer, '--consumer (CONSUMER)');
  const full = { ...defaults, ...settings };
  const { info, warnings } = await ensureConsumer(link, full);
  for (const warning of warnings) events.onWarning?.(warning);
  return new Source(link, full, info.created, events, clock);
}

class Source implements JetStreamSource, Settlement {
  readonly #link: NatsLink;
  readonly #settings: ConsumerSettings & Required<SourceSettings>;
  readonly #events: SourceEvents;
  readonly #clock: Clock;
  readonly #acks: AckWindow;
  readonly #pulls: Pull[] = [];
  readonly #ready = new Fifo<ReceivedDelivery>();
  readonly #unwatch: () => void;
  #waiting: PromiseWithResolvers<IteratorResult<Delivery>>[] = [];
  #created: string;
  #messages = 0;
  #bytes = 0;
  #restoring = false;
  /** The connection was cut: open requests must not reach the new one. */
  #reconnected = false;
  /** Failed requests in a row. */
  #suspects = 0;
  #stopping = false;
  #failure: GatewayError | undefined;
  #cancelWatch: (() => void) | undefined;

  constructor(
    link: NatsLink,
    settings: ConsumerSettings & Required<SourceSettings>,
    created: string,
    events: SourceEvents,
    clock: Clock,
  ) {
    this.#link = link;
    this.#settings = settings;
    this.#events = events;
    this.#clock = clock;
    this.#created = created;
    this.#acks = new AckWindow(link, clock);
    for (let slot = 0; slot < requests; slot++) {
      this.#pulls.push(
        new Pull(link, settings.stream, settings.consumer, clock, {
          onMessage: (received, origin, bytes) => this.#receive(received, origin, bytes),
          onEnd: (suspect) => {
            if (suspect === undefined) this.#suspects = 0;
            if (suspect === undefined) this.#refill();
            else void this.#restore(suspect);
          },
          onDenied: (error) => this.#fail(natsFailure(error, `reading stream ${settings.stream}`)),
        }),
      );
    }
    this.#unwatch = link.watch((event) => this.#linkChanged(event));
    this.#watch();
    this.#refill();
  }

  get outstanding(): { messages: number; bytes: number } {
    return { messages: this.#messages, bytes: this.#bytes };
  }

  async lag(): Promise<SourceLag> {
    const info = await findConsumer(this.#link, this.#settings);
    if (info === undefined) {
      throw new GatewayError('CONSUMER_MISSING', `consumer ${this.#settings.consumer} is being made again`, { transient: true });
    }
    return { pending: info.num_pending, ackPending: info.num_ack_pending, redelivered: info.num_redelivered };
  }

  [Symbol.asyncIterator](): AsyncIterator<Delivery> {
    return { next: () => this.#next() };
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#cancelWatch?.();
    this.#unwatch();
    await Promise.all(this.#pulls.map((pull) => pull.close().catch(() => undefined)));
    // Asked for the consumer, the server forgets requests that nobody listens to any more. Otherwise it would try the first message given back
    // on one of them, and keep it for the ack wait (seen with 2.15).
    if (this.#ready.size > 0 && this.#link.connected) await findConsumer(this.#link, this.#settings).catch(() => undefined);
    // What nobody has taken yet goes back at once, for another source or the next start.
    for (let unread = this.#ready.shift(); unread !== undefined; unread = this.#ready.shift()) this.giveBack(unread, 0);
    for (const waiting of this.#waiting.splice(0)) waiting.resolve({ done: true, value: undefined });
    if (this.#messages === 0) this.#acks.close();
  }

  async acknowledge(delivery: ReceivedDelivery): Promise<void> {
    try {
      await this.#acks.ack(delivery.message.sequence, delivery.reply);
    } finally {
      this.#release(delivery);
    }
  }

  giveBack(delivery: ReceivedDelivery, delayMs: number): void {
    if (delivery.settled) return;
    this.#tell(delivery.reply, delayMs > 0 ? `-NAK {"delay":${Math.round(delayMs)}000000}` : '-NAK');
    this.#release(delivery);
  }

  extend(delivery: ReceivedDelivery): void {
    if (!delivery.settled) this.#tell(delivery.reply, workingPayload);
  }

  #next(): Promise<IteratorResult<Delivery>> {
    const ready = this.#ready.shift();
    if (ready !== undefined) return Promise.resolve({ done: false, value: ready });
    if (this.#stopping) return Promise.resolve({ done: true, value: undefined });
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const waiting = Promise.withResolvers<IteratorResult<Delivery>>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  #receive(received: Msg, origin: Origin, bytes: number): void {
    this.#suspects = 0;
    this.#acks.delivered(origin.sequence);
    const delivery = new ReceivedDelivery(receivedMessage(received, origin), received.reply ?? '', bytes, this);
    this.#messages++;
    this.#bytes += bytes;
    const waiting = this.#stopping ? undefined : this.#waiting.shift();
    if (waiting === undefined) this.#ready.push(delivery);
    else waiting.resolve({ done: false, value: delivery });
  }

  #release(delivery: ReceivedDelivery): void {
    if (delivery.settled) return;
    delivery.settled = true;
    this.#messages--;
    this.#bytes -= delivery.bytes;
    if (!this.#stopping) this.#refill();
    else if (this.#messages === 0) this.#acks.close();
  }

  /** Sent without an answer: when it is lost, the message is delivered again after the ack wait. */
  #tell(reply: string, payload: Uint8Array | string): void {
    try {
      this.#link.connection.publish(reply, payload);
    } catch {
      // Only a closed connection throws, and then the server gives the message to another source by itself.
    }
  }

  #refill(): void {
    if (this.#stopping || this.#restoring || this.#failure !== undefined || !this.#link.connected) return;
    const largest = this.#link.maxPayload + addressBytesMax;
    let messages = this.#settings.windowMessages - this.#messages;
    let bytes = Math.max(this.#settings.windowBytes, requests * largest) - this.#bytes;
    for (const pull of this.#pulls) {
      messages -= pull.leftMessages;
      bytes -= pull.leftBytes;
    }
    const share = Math.ceil(this.#settings.windowMessages / requests);
    for (const pull of this.#pulls) {
      if (pull.open) continue;
      // Small requests cost as much as large ones: wait for half a share, unless nothing else is under way.
      const enough = messages >= Math.ceil(share / 2) || (messages > 0 && this.#messages === 0);
      if (!enough || bytes < largest) return;
      const batch = Math.min(share, messages);
      const room = Math.min(bytes, Math.max(largest, Math.floor(this.#settings.windowBytes / requests)));
      try {
        pull.ask(batch, room);
      } catch (error) {
        this.#fail(natsFailure(error, `reading stream ${this.#settings.stream}`));
        return;
      }
      messages -= batch;
      bytes -= room;
    }
  }

  /** Looks after requests from which nothing is heard. */
  #watch(): void {
    this.#cancelWatch = this.#clock.after(watchEveryMs, () => {
      if (this.#link.connected && this.#pulls.some((pull) => pull.isSilent())) void this.#restore('missed heartbeats');
      else this.#refill();
      this.#watch();
    });
  }

  #linkChanged(event: LinkEvent): void {
    if (event.is === 'connected') {
      this.#reconnected = true;
      void this.#restore(undefined);
    } else if (event.is === 'closed') this.#fail(new GatewayError('NATS_CLOSED', 'the NATS connection is closed'));
    else if (event.is === 'denied' && this.#pulls.some((pull) => pull.subject === event.subject)) {
      this.#fail(notPermitted(`asking for messages on ${event.subject}`));
    }
  }

  /** Makes sure the consumer is there, and asks anew. `suspect`: what went wrong, for the log. */
  async #restore(suspect: string | undefined): Promise<void> {
    if (this.#restoring || this.#stopping || this.#failure !== undefined) return;
    this.#restoring = true;
    if (suspect !== undefined && this.#suspects++ > 0) await pause(this.#clock, backoffMs(this.#suspects, restore));
    let missing = false;
    for (let attempt = 1; !this.#stopping && this.#failure === undefined; attempt++) {
      try {
        // Before the consumer is asked for: that makes the server forget the requests of the connection before.
        this.#dropRequests();
        const { info, was } = await ensureConsumer(this.#link, this.#settings);
        if (missing) this.#warn('STREAM_BACK', `stream ${this.#settings.stream} is there again`, 'nothing to do');
        if (info.created !== this.#created) {
          this.#created = info.created;
          this.#acks.forget('the consumer was deleted');
          const text = `consumer ${this.#settings.consumer} of stream ${this.#settings.stream} was deleted${was === 'created' ? ' and is made anew' : ''}`;
          this.#warn('CONSUMER_RECREATED', text, 'its position is lost: it starts over, which repeats changes and harms none');
        } else if (suspect !== undefined && attempt === 1)
          this.#warn('PULL_FAILED', `reading stream ${this.#settings.stream}: ${suspect}`, 'asked again');
        break;
      } catch (error) {
        const failure = natsFailure(error, `restoring consumer ${this.#settings.consumer}`);
        if (failure.code === 'STREAM_MISSING' && !missing) {
          missing = true;
          this.#events.onWarning?.(failure);
        } else if (!failure.transient) {
          this.#fail(failure);
          break;
        }
        await pause(this.#clock, backoffMs(attempt, restore));
      }
    }
    this.#dropRequests();
    this.#restoring = false;
    this.#refill();
  }

  #dropRequests(): void {
    for (const pull of this.#pulls) {
      if (this.#reconnected) pull.renew();
      else pull.drop();
    }
    this.#reconnected = false;
  }

  #warn(code: string, text: string, hint: string): void {
    this.#events.onWarning?.(new GatewayError(code, text, { hint, transient: true }));
  }

  #fail(failure: GatewayError): void {
    if (this.#failure !== undefined || this.#stopping) return;
    this.#failure = failure;
    this.#cancelWatch?.();
    this.#unwatch();
    for (const pull of this.#pulls) void pull.close().catch(() => undefined);
    for (const waiting of this.#waiting.splice(0)) waiting.reject(failure);
  }
}
