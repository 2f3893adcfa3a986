import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node';
import type { Clock } from './clock.ts';
import type { NatsLink } from './connect.ts';
import { header } from './headers.ts';
import { emptyOrigin, readOrigin, readOriginInto, type Origin } from './delivery.ts';
import { takeFrames, type Frame } from './wire-in.ts';
import { replyBytes } from './wire.ts';

/** Messages come as the library makes them, or, where there are many, as they lie in what was read (`takeFrames`). */
export type PullEvents = {
  onMessage?(received: Msg, origin: Origin, bytes: number): void;
  /** Both hold only until this returns. */
  onFrame?(frame: Frame, origin: Origin, bytes: number): void;
  /** The request ended; `suspect` says why a look at the consumer is due, undefined that all is well. */
  onEnd(suspect: string | undefined): void;
  onDenied(error: Error): void;
};

const expiresMs = 30_000;
const heartbeatMs = 5_000;
const silenceMaxMs = 12_500;
const nanosPerMs = 1_000_000;

/**
 * One pull request after another on a subscription of its own, so that every message is known to belong to this request. Messages and
 * bytes are counted down as the server does (nats-server, `consumer.nextWaiting`: subject, reply, headers and payload).
 */
export class Pull {
  readonly #link: NatsLink;
  readonly #clock: Clock;
  readonly #stream: string;
  /** Where requests go. */
  subject = '';
  #inbox = '';
  #subscription: Subscription;
  #endFrames: (() => void) | undefined;
  readonly #origin = emptyOrigin();
  readonly #events: PullEvents;
  #request = 0;
  #heardAt = 0;
  /** What the open request may still deliver; 0 without one. */
  leftMessages = 0;
  leftBytes = 0;

  constructor(link: NatsLink, stream: string, consumer: string, clock: Clock, events: PullEvents) {
    this.#link = link;
    this.#clock = clock;
    this.#stream = stream;
    this.#events = events;
    this.askOf(consumer);
    this.#subscription = this.#subscribe();
  }

  /** Names the consumer that requests go to from now on. */
  askOf(consumer: string): void {
    this.subject = `${this.#link.apiPrefix}.CONSUMER.MSG.NEXT.${this.#stream}.${consumer}`;
  }

  get open(): boolean {
    return this.leftMessages > 0;
  }

  /** Without `waits`, the request ends when nothing more is there. */
  ask(messages: number, bytes: number, { waits } = { waits: true }): void {
    this.leftMessages = messages;
    this.leftBytes = bytes;
    this.#heardAt = this.#clock.now();
    const patience = { expires: expiresMs * nanosPerMs, idle_heartbeat: heartbeatMs * nanosPerMs };
    const request = { batch: messages, max_bytes: bytes, ...(waits ? patience : { no_wait: true }) };
    this.#link.connection.publish(this.subject, JSON.stringify(request), { reply: this.#inbox + ++this.#request });
  }

  /** True when the open request is silent although the server promised a heartbeat. */
  isSilent(): boolean {
    return this.open && this.#clock.now() - this.#heardAt > silenceMaxMs;
  }

  /** Lets go of the open request. What it still delivers is taken all the same. */
  drop(): void {
    this.leftMessages = 0;
    this.leftBytes = 0;
  }

  /** Lets go of the open request and of what it still delivers: after a reconnect the server would carry on with it beside the next one. */
  renew(): void {
    this.drop();
    if (this.#subscription.isClosed() || this.#link.connection.isClosed()) return;
    this.#endFrames?.();
    this.#subscription.unsubscribe();
    this.#subscription = this.#subscribe();
  }

  /** No more requests; what is under way arrives before this resolves. */
  async close(): Promise<void> {
    this.drop();
    try {
      if (this.#subscription.isClosed()) return;
      if (this.#link.connected) await this.#subscription.drain();
      else this.#subscription.unsubscribe();
    } finally {
      this.#endFrames?.();
    }
  }

  #subscribe(): Subscription {
    this.#inbox = `${createInbox(this.#link.inboxPrefix)}.`;
    const { connection } = this.#link;
    const events = this.#events;
    const subscription = connection.subscribe(`${this.#inbox}*`, {
      callback: (error, received) => (error === null ? this.#received(received) : events.onDenied(error)),
    });
    if (events.onFrame !== undefined) this.#endFrames = takeFrames(connection, subscription, (frame) => this.#framed(frame));
    return subscription;
  }

  #framed(frame: Frame): boolean {
    const { bytes, subjectAt, subjectEnd, replyAt, replyEnd, headersAt, end } = frame;
    if (!readOriginInto(this.#origin, bytes, replyAt, replyEnd)) return false;
    const size = subjectEnd - subjectAt + (replyEnd - replyAt) + (end - headersAt);
    this.#heardAt = this.#clock.now();
    this.#countDown(size);
    this.#events.onFrame?.(frame, this.#origin, size);
    if (!this.open) this.#events.onEnd(undefined);
    return true;
  }

  #countDown(bytes: number): void {
    if (!this.open) return;
    this.leftMessages--;
    this.leftBytes -= bytes;
    // At the last message, and at the last byte, the server ends the request without a word.
    if (this.leftMessages <= 0 || this.leftBytes <= 0) this.drop();
  }

  #received(received: Msg): void {
    this.#heardAt = this.#clock.now();
    const reply = replyBytes(received);
    const origin = readOrigin(reply);
    if (origin === undefined) {
      this.#status(received);
      return;
    }
    const bytes = sizeOf(received, reply);
    this.#countDown(bytes);
    this.#events.onMessage?.(received, origin, bytes);
    if (!this.open) this.#events.onEnd(undefined);
  }

  #status(received: Msg): void {
    if (received.subject !== this.#inbox + this.#request || !this.open) return;
    const code = received.headers?.code ?? 0;
    if (code === 100) return;
    const description = received.headers?.description ?? '';
    this.drop();
    // 404 and 408: nothing came in time. 409 is many things; what the request was too small for is harmless too.
    const harmless = code === 404 || code === 408 || received.headers?.has(header.pendingBytes) === true;
    this.#events.onEnd(harmless ? undefined : `${code} ${description}`.trim());
  }
}

/** The library's message knows its size with headers but does not declare it. */
function sizeOf(received: Msg, reply: Uint8Array): number {
  const measured = (received as Msg & { size?: () => number }).size?.();
  return measured ?? received.subject.length + reply.length + received.data.length;
}
