import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node';
import { GatewayError } from '../core/errors.ts';
import { ChainLines, type ChainMessage, type ChainStart } from './chain-lines.ts';
import { systemClock, type Clock } from './clock.ts';
import type { LinkEvent, NatsLink } from './connect.ts';
import { natsFailure, notPermitted } from './failures.ts';
import { pubAckReader, type PubAck } from './puback.ts';
import { foreignStream, judgeRefusal, tooLarge } from './publish-verdict.ts';
import { sendLines } from './wire-out.ts';

export type ChainSettings = ChainStart & {
  windowMessages?: number;
  windowBytes?: number;
  /** Without an answer for so long, the chain has failed. */
  ackTimeoutMs?: number;
};

export type ChainEvents<Tag> = {
  /** Everything up to the message added with this tag is stored; `sequence` is that message's in the stream, `more` what that adds. */
  onStored(tag: Tag, sequence: number, more: { messages: number; payloadBytes: number }): void;
  /**
   * Nothing more is stored: CHAIN_BROKEN (another message was stored meanwhile, or one of ours is missing), CHAIN_CUT (no answer), STREAM_FULL,
   * all transient; MESSAGE_TOO_LARGE, STREAM_REFUSED, STREAM_MISSING, NATS_*. What was not told as stored may be stored all the same.
   */
  onFailed(error: GatewayError): void;
};

type Sum = { messages: number; bytes: number; payloadBytes: number };
type Mark<Tag> = Sum & { tag: Tag; stored: number };

/** Room in nats-server's own queue of a stream is 10,000 messages, for all publishers; beyond it refuses. */
const defaults = { windowMessages: 6_000, windowBytes: 16 * 2 ** 20, ackTimeoutMs: 10_000 };
const markEvery = { messages: 128, bytes: 512 * 1024 };
const sendFromBytes = 64 * 1024;
const wrongLast = new Set([10_070, 10_071]);

/** Publishes a row of messages to one stream, many at once. Good until it fails once: whoever has it looks what is stored, and begins another. */
export class Chain<Tag> {
  readonly #link: NatsLink;
  readonly #settings: Required<ChainSettings>;
  readonly #events: ChainEvents<Tag>;
  readonly #clock: Clock;
  readonly #inbox: string;
  readonly #replies: Subscription;
  readonly #unwatch: () => void;
  readonly #read = pubAckReader();
  readonly #lines: ChainLines;
  /** Messages that ask for an answer, by number; those from `#head` on are unanswered. */
  readonly #marks = new Map<number, Mark<Tag>>();
  #head = 1;
  #number = 0;
  #messages = 0;
  #bytes = 0;
  #unmarked: Sum = { messages: 0, bytes: 0, payloadBytes: 0 };
  /** Of the last message added. */
  #lastTag: Tag | undefined;
  #heardAt = 0;
  #waiters: (() => void)[] = [];
  #cancelTimeout: (() => void) | undefined;
  #sending = false;
  #over = false;

  constructor(link: NatsLink, settings: ChainSettings, events: ChainEvents<Tag>, clock: Clock = systemClock) {
    this.#link = link;
    this.#settings = { ...defaults, ...settings };
    this.#lines = new ChainLines(settings);
    this.#events = events;
    this.#clock = clock;
    this.#inbox = `${createInbox(link.inboxPrefix)}.`;
    this.#replies = link.connection.subscribe(`${this.#inbox}*`, { callback: (error, reply) => this.#answered(error, reply) });
    this.#unwatch = link.watch((event) => this.#linkChanged(event));
    this.#watchSilence();
  }

  /** Published and not told as stored. */
  get inFlight(): number {
    return this.#messages;
  }

  get hasRoom(): boolean {
    return this.#messages < this.#settings.windowMessages && this.#bytes < this.#settings.windowBytes;
  }

  /** Resolves when the window has room, or the chain has failed. */
  async room(): Promise<void> {
    this.flush();
    while (!this.hasRoom && !this.#over) await this.#change();
  }

  /** Resolves when everything is stored, or the chain has failed. */
  async idle(): Promise<void> {
    this.flush();
    while (this.#messages > 0 && !this.#over) await this.#change();
  }

  /** Takes a message; it goes out at `flush`, with the next ones, or a moment later. */
  add(message: ChainMessage, tag: Tag): void {
    if (this.#over) return;
    this.#write(message, tag);
    if (this.#lines.bytes >= sendFromBytes) this.flush();
    else if (!this.#sending) {
      this.#sending = true;
      setImmediate(() => {
        this.#sending = false;
        this.flush();
      });
    }
  }

  /** Sends what was taken, and asks for an answer to the last of it. */
  flush(): void {
    if (this.#lines.bytes === 0 || this.#over) return;
    if (!this.#link.connected) {
      this.#fail(cut('the connection was cut'));
      return;
    }
    if (this.#unmarked.messages > 0) this.#lines.askLast(this.#mark());
    try {
      sendLines(this.#link.connection, this.#lines.take(this.#number));
    } catch (error) {
      this.#fail(natsFailure(error, `publishing to stream ${this.#settings.stream}`));
    }
  }

  close(): void {
    this.#over = true;
    this.#cancelTimeout?.();
    this.#unwatch();
    if (!this.#replies.isClosed()) this.#replies.unsubscribe();
    this.#wake();
  }

  #write(message: ChainMessage, tag: Tag): void {
    const { isFirst } = this.#lines;
    const bytes = this.#lines.measure(message);
    if (bytes > this.#link.maxPayload) {
      const what = `${bytes} bytes with headers, and max_payload of the server is ${this.#link.maxPayload}`;
      this.#fail(tooLarge(message.subject, what));
      return;
    }
    const unmarked = this.#unmarked;
    unmarked.messages++;
    unmarked.bytes += bytes;
    unmarked.payloadBytes += message.payloadEnd - message.payloadAt;
    this.#messages++;
    this.#bytes += bytes;
    this.#lastTag = tag;
    const { mode } = this.#settings;
    // The first asks for itself: where it cannot be taken at all, the answer says why.
    const asks = isFirst || mode === 'apart' || unmarked.messages >= markEvery.messages || unmarked.bytes >= markEvery.bytes;
    this.#lines.write(message, asks ? this.#mark() : '');
  }

  /** The last message added asks for an answer, to this reply subject, for all since the one that asked before. */
  #mark(): string {
    const number = ++this.#number;
    this.#marks.set(number, { tag: this.#lastTag!, ...this.#unmarked, stored: 0 });
    this.#unmarked = { messages: 0, bytes: 0, payloadBytes: 0 };
    if (this.#marks.size === 1) this.#heardAt = this.#clock.now();
    return this.#inbox + number.toString(36);
  }

  #answered(error: Error | null, reply: Msg): void {
    if (this.#over) return;
    if (error !== null) {
      this.#fail(natsFailure(error, `subscribing to replies on ${this.#inbox}*`));
      return;
    }
    const number = Number.parseInt(reply.subject.slice(this.#inbox.length), 36);
    const ack = reply.data.length === 0 ? undefined : this.#read(reply.data);
    this.#heardAt = this.#clock.now();
    if (ack?.is === 'stored') this.#stored(number, ack);
    else if (ack?.is === 'refused') this.#refused(ack);
    else this.#fail(cut(reply.headers?.code === 503 ? 'no stream takes the subject' : 'an answer that is none'));
  }

  #stored(number: number, ack: PubAck & { is: 'stored' }): void {
    const { stream } = this.#settings;
    if (ack.stream !== stream) {
      this.#fail(foreignStream(stream, ack.stream, 'a subject of the load'));
      return;
    }
    const answered = this.#marks.get(number);
    if (answered === undefined) return;
    answered.stored = ack.sequence;
    if (this.#settings.mode === 'linked') this.#settleThrough(number);
    else while (this.#marks.get(this.#head)?.stored) this.#settleThrough(this.#head);
    this.#wake();
  }

  #settleThrough(number: number): void {
    const last = this.#marks.get(number)!;
    const more = { messages: 0, payloadBytes: 0 };
    for (; this.#head <= number; this.#head++) {
      const mark = this.#marks.get(this.#head)!;
      this.#marks.delete(this.#head);
      this.#messages -= mark.messages;
      this.#bytes -= mark.bytes;
      more.messages += mark.messages;
      more.payloadBytes += mark.payloadBytes;
    }
    this.#lines.reuse(number);
    this.#events.onStored(last.tag, last.stored, more);
  }

  #refused(ack: PubAck & { is: 'refused' }): void {
    const { stream } = this.#settings;
    if (wrongLast.has(ack.apiCode)) {
      this.#fail(
        new GatewayError('CHAIN_BROKEN', `something else was stored in stream ${stream} meanwhile: ${ack.reason}`, {
          hint: 'what is there is looked at, and the load goes on',
          transient: true,
        }),
      );
      return;
    }
    const verdict = judgeRefusal(stream, 'a subject of the load', ack);
    if (verdict.is === 'lost') this.#fail(verdict.error);
    else if (verdict.is === 'full')
      this.#fail(
        new GatewayError('STREAM_FULL', `stream ${stream} takes no more: ${verdict.reason}`, {
          hint: `make room: raise its limits, or let its consumers catch up`,
          transient: true,
        }),
      );
    else this.#fail(cut(verdict.reason));
  }

  #watchSilence(): void {
    const every = this.#settings.ackTimeoutMs / 4;
    this.#cancelTimeout = this.#clock.after(every, () => {
      const silent = this.#clock.now() - this.#heardAt > this.#settings.ackTimeoutMs;
      if (this.#marks.size > 0 && silent) this.#fail(cut('no answer in time'));
      else this.#watchSilence();
    });
  }

  #linkChanged(event: LinkEvent): void {
    if (event.is === 'disconnected') this.#fail(cut('the connection was cut'));
    else if (event.is === 'closed') this.#fail(new GatewayError('NATS_CLOSED', 'the NATS connection is closed'));
    // Requests to the server are made by others.
    else if (event.is === 'denied' && event.operation === 'publish' && !event.subject.startsWith(`${this.#link.apiPrefix}.`))
      this.#fail(notPermitted(`publishing to ${event.subject}`));
  }

  #fail(error: GatewayError): void {
    if (this.#over) return;
    this.close();
    this.#events.onFailed(error);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

function cut(why: string): GatewayError {
  return new GatewayError('CHAIN_CUT', `publishing was interrupted: ${why}`, { hint: 'it goes on by itself', transient: true });
}
