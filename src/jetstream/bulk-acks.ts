import { AckWindow } from './ack-window.ts';
import type { Clock } from './clock.ts';
import type { NatsLink } from './connect.ts';
import type { Beginning, Floor, FloorEvents } from './floor.ts';
import { letExpire, setBack, type OrderedConsumer } from './ordered-consumer.ts';
import type { Frame } from './wire-in.ts';

/** Reads the durable consumer itself, and acknowledges the last message of each mark: with it everything before. */
export class BulkAcks implements Floor {
  readonly #link: NatsLink;
  readonly #clock: Clock;
  readonly #oldServer: boolean;
  readonly #events: FloorEvents;
  readonly #acks: AckWindow;
  /** The reply subject of each mark's last delivery, where that has come since the consumer was set back. */
  readonly #marks = new Map<number, string | undefined>();
  readonly #last = new LastReply();
  #given = 0;
  #durable = 0;
  #again: { sequence: number; reply: string } | undefined;
  #beginnings = 0;

  /** `oldServer`: do without what nats-server 2.14 brought. */
  constructor(link: NatsLink, clock: Clock, oldServer: boolean, events: FloorEvents) {
    this.#link = link;
    this.#clock = clock;
    this.#oldServer = oldServer;
    this.#events = events;
    this.#acks = new AckWindow(link, clock);
  }

  async begin(durable: OrderedConsumer, given: number): Promise<Beginning> {
    this.#beginnings++;
    this.#acks.forget('the consumer is set back');
    this.#again = undefined;
    this.#last.clear();
    this.#given = given;
    this.#durable = durable.startSequence - 1;
    for (const sequence of this.#marks.keys()) this.#marks.set(sequence, undefined);
    const back = this.#oldServer ? letExpire : setBack;
    return { consumer: durable.consumer, ...(await back(this.#link, durable, this.#clock)) };
  }

  giving(frame: Frame): void {
    this.pause();
    this.#last.note(frame);
  }

  /** What is durable is acknowledged under its new reply subject. */
  givenBefore(sequence: number, frame: Frame): void {
    if (this.#marks.has(sequence)) this.#marks.set(sequence, replyOf(frame));
    if (sequence <= this.#durable) this.#again = { sequence, reply: replyOf(frame) };
    else this.pause();
    if (sequence === this.#given) this.#last.note(frame);
  }

  mark(sequence: number): void {
    this.#marks.set(sequence, this.#last.text);
  }

  settle(sequence: number): void {
    const reply = this.#marks.get(sequence);
    this.#marks.delete(sequence);
    this.#durable = sequence;
    if (reply !== undefined) this.#acknowledge(sequence, reply);
  }

  pause(): void {
    if (this.#again === undefined) return;
    this.#acknowledge(this.#again.sequence, this.#again.reply);
    this.#again = undefined;
  }

  idle(): Promise<void> {
    return this.#acks.idle();
  }

  async close(): Promise<void> {
    this.#acks.close();
  }

  #acknowledge(sequence: number, reply: string): void {
    const beginnings = this.#beginnings;
    this.#acks.ack(sequence, reply).then(
      () => this.#events.onAcknowledged(sequence),
      () => {
        if (beginnings === this.#beginnings) this.#events.onSuspect('an acknowledgement was not confirmed');
      },
    );
  }
}

function replyOf({ bytes, replyAt, replyEnd }: Frame): string {
  return bytes.toString('utf8', replyAt, replyEnd);
}

/** The reply subject of the last message, as bytes: it is noted with every message, and rarely asked for. */
class LastReply {
  #bytes = Buffer.alloc(256);
  #length = 0;

  get text(): string | undefined {
    return this.#length === 0 ? undefined : this.#bytes.toString('utf8', 0, this.#length);
  }

  note({ bytes, replyAt, replyEnd }: Frame): void {
    this.#length = replyEnd - replyAt;
    if (this.#length > this.#bytes.length) this.#bytes = Buffer.alloc(2 * this.#length);
    bytes.copy(this.#bytes, 0, replyAt, replyEnd);
  }

  clear(): void {
    this.#length = 0;
  }
}
