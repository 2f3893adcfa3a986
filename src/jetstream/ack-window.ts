import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node';
import { GatewayError } from '../core/errors.ts';
import type { Clock } from './clock.ts';
import type { LinkEvent, NatsLink } from './connect.ts';
import { natsFailure } from './failures.ts';

type Pending = {
  sequence: number;
  reply: string;
  resolve: () => void;
  reject: (error: GatewayError) => void;
  dueAt: number;
  tries: number;
};

const ackPayload = new TextEncoder().encode('+ACK');
const answerWithinMs = 2_000;
const tickMs = 250;
/** Unanswered this often with a connection, an acknowledgement is given up: the server has forgotten that delivery and will repeat it. */
const triesMax = 3;

function lost(why: string): GatewayError {
  return new GatewayError('ACK_LOST', `an acknowledgement was not confirmed: ${why}`, {
    hint: 'the message will be delivered again',
    transient: true,
  });
}

/** Double acknowledgements over one reply subject: `+ACK` with a reply is answered by the server once it is stored (ADR-15). */
export class AckWindow {
  readonly #link: NatsLink;
  readonly #clock: Clock;
  readonly #inbox: string;
  readonly #replies: Subscription;
  readonly #unwatch: () => void;
  readonly #pending = new Map<number, Pending>();
  readonly #tokens = new Map<number, number>();
  #token = 0;
  #cancelTick: (() => void) | undefined;
  #ended: GatewayError | undefined;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(link: NatsLink, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
    this.#inbox = `${createInbox(link.inboxPrefix)}.`;
    this.#replies = link.connection.subscribe(`${this.#inbox}*`, { callback: (error, answer) => this.#answered(error, answer) });
    this.#unwatch = link.watch((event) => this.#linkChanged(event));
  }

  /** Resolves when the server confirms; rejects with ACK_LOST. Bounded by the number of deliveries that are out. */
  ack(sequence: number, reply: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      const token = ++this.#token;
      const pending: Pending = { sequence, reply, resolve, reject, dueAt: 0, tries: 0 };
      this.#pending.set(token, pending);
      this.#tokens.set(sequence, token);
      this.#send(token, pending);
      this.#cancelTick ??= this.#clock.after(tickMs, () => this.#tick());
    });
  }

  /**
   * A message arrived. If an acknowledgement of it waits to be confirmed, it was in vain: a server that was killed forgets deliveries, and
   * never answers an acknowledgement of one that it does not know.
   */
  delivered(sequence: number): void {
    const token = this.#tokens.get(sequence);
    const pending = token === undefined ? undefined : this.#take(token);
    pending?.reject(lost('the message was delivered again'));
  }

  /** Resolves when nothing waits for confirmation. */
  idle(): Promise<void> {
    if (this.#pending.size === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  /** The consumer is gone, and with it the deliveries that wait for confirmation. */
  forget(why: string): void {
    const error = lost(why);
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    this.#tokens.clear();
    this.#tellIdle();
  }

  close(error: GatewayError = lost('the source is closed')): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#cancelTick?.();
    this.#unwatch();
    this.forget(error.message);
    if (!this.#replies.isClosed()) this.#replies.unsubscribe();
  }

  #take(token: number): Pending | undefined {
    const pending = this.#pending.get(token);
    if (pending === undefined) return undefined;
    this.#pending.delete(token);
    if (this.#tokens.get(pending.sequence) === token) this.#tokens.delete(pending.sequence);
    this.#tellIdle();
    return pending;
  }

  #tellIdle(): void {
    if (this.#pending.size > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  #send(token: number, pending: Pending): void {
    pending.dueAt = this.#clock.now() + answerWithinMs;
    // Without a connection it is sent when there is one again.
    if (!this.#link.connected) return;
    pending.tries++;
    try {
      this.#link.connection.publish(pending.reply, ackPayload, { reply: this.#inbox + token.toString(36) });
    } catch (error) {
      this.#take(token);
      pending.reject(lost(natsFailure(error, 'publishing it').message));
    }
  }

  #answered(error: Error | null, answer: Msg): void {
    if (error !== null) {
      this.close(natsFailure(error, `subscribing to replies on ${this.#inbox}*`));
      return;
    }
    const token = Number.parseInt(answer.subject.slice(this.#inbox.length), 36);
    // 503: nobody listens for this consumer now. It is tried again when due.
    if (answer.headers?.hasError !== true) this.#take(token)?.resolve();
  }

  #tick(): void {
    this.#cancelTick = undefined;
    const now = this.#clock.now();
    for (const [token, pending] of this.#pending) {
      if (pending.dueAt > now) continue;
      if (pending.tries < triesMax) {
        this.#send(token, pending);
        continue;
      }
      this.#take(token)?.reject(lost('the server did not answer'));
    }
    if (this.#pending.size > 0) this.#cancelTick = this.#clock.after(tickMs, () => this.#tick());
  }

  #linkChanged(event: LinkEvent): void {
    if (event.is === 'closed') this.close(lost('the connection is closed'));
    if (event.is !== 'connected') return;
    for (const [token, pending] of this.#pending) this.#send(token, pending);
  }
}
