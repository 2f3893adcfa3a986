import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import { nanos, type Msg } from '@nats-io/transport-node';
import { GatewayError } from '../core/errors.ts';
import type { Message } from '../core/strategy.ts';
import { firstSequence } from './api.ts';
import { systemClock, type Clock } from './clock.ts';
import type { NatsLink } from './connect.ts';
import { receivedMessage, type Origin } from './delivery.ts';
import { natsFailure } from './failures.ts';
import { Fifo } from './fifo.ts';
import { Pull } from './pull.ts';
import { streamMissing } from './publish-verdict.ts';
import { streamIdentity } from './streams.ts';

export type ScanSettings = {
  stream: string;
  /** May hold wildcards. */
  subject: string;
  /** Messages above this sequence are read. */
  afterSequence: number;
  /** Called in stream order; the next message waits for it. */
  onMessage: (message: Message) => void | Promise<void>;
  signal?: AbortSignal;
};

export type Scanned = {
  scanned: number;
  /** Everything on the subject up to here was read: the stream's last sequence when the scan began. */
  lastSequence: number;
};

const readAhead = { messages: 500, bytes: 8 * 2 ** 20 };
const idleMs = 60_000;
const watchEveryMs = 1_000;

/**
 * Reads the messages on one subject between a sequence and the present end of the stream, and ends: for the writer, which must know whether a
 * change that is redelivered late was deleted since (D4). Throws STREAM_MISSING, SCAN_INTERRUPTED (transient: scan again), SCAN_ABORTED,
 * NATS_*.
 */
export async function scanSubject(link: NatsLink, settings: ScanSettings, clock: Clock = systemClock): Promise<Scanned> {
  const { stream, subject, afterSequence } = settings;
  const identity = await streamIdentity(link, stream);
  if (identity === undefined) throw streamMissing(stream);
  const lastSequence = identity.lastSeq;
  let position = afterSequence;
  let scanned = 0;
  const isOver = async (): Promise<boolean> => {
    if (position >= lastSequence) return true;
    const next = await firstSequence(link, stream, { fromSequence: position + 1, subject });
    return next === undefined || next > lastSequence;
  };
  if (await isOver()) return { scanned, lastSequence };
  const reader = await Reader.open(link, stream, subject, position + 1, clock);
  try {
    while (!(await isOver())) {
      for (const message of await reader.read()) {
        if (settings.signal?.aborted === true)
          throw new GatewayError('SCAN_ABORTED', `scanning ${subject} in ${stream} was stopped`);
        position = message.sequence;
        if (position > lastSequence) break;
        scanned++;
        await settings.onMessage(message);
      }
    }
    return { scanned, lastSequence };
  } finally {
    await reader.close();
  }
}

/** An unnamed consumer that goes by itself when it is left behind. */
class Reader {
  readonly #link: NatsLink;
  readonly #stream: string;
  readonly #consumer: string;
  readonly #clock: Clock;
  readonly #pull: Pull;
  readonly #got = new Fifo<Message>();
  #end: PromiseWithResolvers<void> = Promise.withResolvers();

  static async open(link: NatsLink, stream: string, subject: string, fromSequence: number, clock: Clock): Promise<Reader> {
    try {
      const { name } = await link.manager.consumers.add(stream, {
        filter_subjects: [subject],
        ack_policy: AckPolicy.None,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: fromSequence,
        inactive_threshold: nanos(idleMs),
        mem_storage: true,
        num_replicas: 1,
      });
      return new Reader(link, stream, name, clock);
    } catch (error) {
      throw natsFailure(error, `scanning ${subject} in stream ${stream}`);
    }
  }

  private constructor(link: NatsLink, stream: string, consumer: string, clock: Clock) {
    this.#link = link;
    this.#stream = stream;
    this.#consumer = consumer;
    this.#clock = clock;
    this.#pull = new Pull(link, stream, consumer, clock, {
      onMessage: (received: Msg, origin: Origin) => this.#got.push(receivedMessage(received, origin)),
      onEnd: (suspect) => (suspect === undefined ? this.#end.resolve() : this.#end.reject(this.#interrupted(suspect))),
      onDenied: (error) => this.#end.reject(natsFailure(error, `scanning stream ${stream}`)),
    });
  }

  /** The next messages that are there; none when there are none within a moment. */
  async read(): Promise<Message[]> {
    this.#end = Promise.withResolvers();
    const bytes = Math.max(readAhead.bytes, 2 * this.#link.maxPayload);
    this.#pull.ask(readAhead.messages, bytes, { waits: false });
    const unwatch = this.#link.watch(() => this.#end.reject(this.#interrupted('the connection was cut')));
    let cancel: (() => void) | undefined;
    const watch = (): void => {
      cancel = this.#clock.after(watchEveryMs, () => {
        if (this.#pull.isSilent() || !this.#link.connected) this.#end.reject(this.#interrupted('no answer'));
        else watch();
      });
    };
    watch();
    try {
      await this.#end.promise;
    } finally {
      cancel?.();
      unwatch();
    }
    const messages = [...this.#got];
    this.#got.clear();
    return messages;
  }

  async close(): Promise<void> {
    // What cannot be removed now goes by itself; that is no failure of the scan.
    await this.#pull.close().catch(() => undefined);
    if (this.#link.connected) await this.#link.manager.consumers.delete(this.#stream, this.#consumer).catch(() => false);
  }

  #interrupted(why: string): GatewayError {
    const text = `scanning stream ${this.#stream} was interrupted: ${why}`;
    return new GatewayError('SCAN_INTERRUPTED', text, { hint: 'it is scanned again', transient: true });
  }
}
