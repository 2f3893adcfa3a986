import { GatewayError } from '../core/errors.ts';
import type { Delivery, Message, MessageSink, MessageSource, OutgoingMessage, Stored } from '../core/strategy.ts';
import { covers } from '../core/subject.ts';
import { systemClock, type Clock } from './clock.ts';
import { header } from './headers.ts';

export type MemoryStreamSettings = {
  name?: string;
  /** Then publishes wait until there is room. */
  maxMessages?: number;
  maxBytes?: number;
  /** Without a word for so long, a message is delivered again. */
  ackWaitMs?: number;
  clock?: Clock;
};

export type MemorySourceSettings = { windowMessages?: number; windowBytes?: number; filterSubjects?: readonly string[] };

type Waiting = { message: OutgoingMessage; resolve: (stored: Stored) => void; reject: (error: GatewayError) => void };

/** A stream in this process that keeps the promises of `MessageSink` and `MessageSource`: for tests without a server. */
export class MemoryStream {
  readonly name: string;
  readonly clock: Clock;
  readonly ackWaitMs: number;
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  readonly #ids = new Map<string, number>();
  readonly #consumers = new Map<string, MemoryConsumer>();
  #kept: Message[] = [];
  #bytes = 0;
  #waiting: Waiting[] = [];
  lastSequence = 0;

  constructor(settings: MemoryStreamSettings = {}) {
    this.name = settings.name ?? 'MEMORY';
    this.clock = settings.clock ?? systemClock;
    this.ackWaitMs = settings.ackWaitMs ?? 60_000;
    this.#messagesMax = settings.maxMessages ?? Infinity;
    this.#bytesMax = settings.maxBytes ?? Infinity;
  }

  /** What the stream holds, oldest first. */
  get messages(): readonly Message[] {
    return this.#kept;
  }

  sink(): MessageSink {
    const inFlight = new Set<Promise<unknown>>();
    let closed = false;
    return {
      publish: (message) => {
        if (closed) return Promise.reject(new GatewayError('SINK_CLOSED', `the sink of stream ${this.name} is closed`));
        const stored = this.#publish(message);
        const settled = stored.catch(() => undefined).finally(() => inFlight.delete(settled));
        inFlight.add(settled);
        return stored;
      },
      close: async () => {
        closed = true;
        await Promise.all(inFlight);
      },
    };
  }

  source(consumer: string, settings: MemorySourceSettings = {}): MessageSource {
    let shared = this.#consumers.get(consumer);
    if (shared === undefined) this.#consumers.set(consumer, (shared = new MemoryConsumer(this, settings.filterSubjects ?? [])));
    return new MemorySource(shared, settings.windowMessages ?? Infinity, settings.windowBytes ?? Infinity);
  }

  purgeThrough(sequence: number): void {
    this.#kept = this.#kept.filter((message) => message.sequence > sequence);
    this.#bytes = this.#kept.reduce((sum, message) => sum + message.payload.length, 0);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) this.#store(one);
  }

  #publish(message: OutgoingMessage): Promise<Stored> {
    return new Promise((resolve, reject) => this.#store({ message, resolve, reject }));
  }

  #store(one: Waiting): void {
    const { message } = one;
    const known = message.id === undefined ? undefined : this.#ids.get(message.id);
    if (known !== undefined) {
      one.resolve({ stream: this.name, sequence: known, duplicate: true });
      return;
    }
    if (this.#kept.length >= this.#messagesMax || this.#bytes + message.payload.length > this.#bytesMax) {
      this.#waiting.push(one);
      return;
    }
    const sequence = ++this.lastSequence;
    const headers = new Map(message.headers ?? []);
    if (message.id !== undefined) {
      this.#ids.set(message.id, sequence);
      headers.set(header.messageId, message.id);
    }
    const { subject, payload } = message;
    this.#kept.push({ subject, headers, payload: payload.slice(), sequence, timestamp: this.clock.now(), deliveries: 0 });
    this.#bytes += payload.length;
    one.resolve({ stream: this.name, sequence, duplicate: false });
    for (const consumer of this.#consumers.values()) consumer.wake();
  }
}

/** A consumer's position, shared by the sources of its name. */
class MemoryConsumer {
  readonly stream: MemoryStream;
  readonly #filters: readonly string[];
  readonly #again: Message[] = [];
  readonly #deliveries = new Map<number, number>();
  readonly #sources = new Set<MemorySource>();
  #position = 0;

  constructor(stream: MemoryStream, filters: readonly string[]) {
    this.stream = stream;
    this.#filters = filters;
  }

  join(source: MemorySource): void {
    this.#sources.add(source);
  }

  leave(source: MemorySource): void {
    this.#sources.delete(source);
  }

  wake(): void {
    for (const source of this.#sources) source.pump();
  }

  /** The next message, if it has at most so many bytes. */
  take(bytesMax: number): Message | undefined {
    const repeated = this.#again[0];
    if (repeated !== undefined) return repeated.payload.length > bytesMax ? undefined : this.#count(this.#again.shift());
    const next = this.stream.messages.find((message) => message.sequence > this.#position && this.#wants(message.subject));
    if (next === undefined || next.payload.length > bytesMax) return undefined;
    this.#position = next.sequence;
    return this.#count(next);
  }

  giveBack(message: Message): void {
    this.#again.push(message);
    this.wake();
  }

  #wants(subject: string): boolean {
    return this.#filters.length === 0 || this.#filters.some((pattern) => covers(pattern, subject));
  }

  #count(message: Message | undefined): Message | undefined {
    if (message === undefined) return undefined;
    const deliveries = (this.#deliveries.get(message.sequence) ?? 0) + 1;
    this.#deliveries.set(message.sequence, deliveries);
    return { ...message, deliveries };
  }
}

class MemorySource implements MessageSource {
  readonly #consumer: MemoryConsumer;
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  #waiting: PromiseWithResolvers<IteratorResult<Delivery>>[] = [];
  #messages = 0;
  #bytes = 0;
  #stopped = false;

  constructor(consumer: MemoryConsumer, messagesMax: number, bytesMax: number) {
    this.#consumer = consumer;
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
    consumer.join(this);
  }

  [Symbol.asyncIterator](): AsyncIterator<Delivery> {
    return {
      next: () => {
        if (this.#stopped) return Promise.resolve({ done: true, value: undefined });
        const waiting = Promise.withResolvers<IteratorResult<Delivery>>();
        this.#waiting.push(waiting);
        this.pump();
        return waiting.promise;
      },
    };
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#consumer.leave(this);
    for (const waiting of this.#waiting.splice(0)) waiting.resolve({ done: true, value: undefined });
    return Promise.resolve();
  }

  /** Hands out what there is to those who wait, as far as the window goes. */
  pump(): void {
    while (!this.#stopped && this.#waiting.length > 0 && this.#messages < this.#messagesMax) {
      const message = this.#consumer.take(this.#messages === 0 ? Infinity : this.#bytesMax - this.#bytes);
      if (message === undefined) return;
      this.#waiting.shift()?.resolve({ done: false, value: this.#deliver(message) });
    }
  }

  #deliver(message: Message): Delivery {
    const { clock, ackWaitMs } = this.#consumer.stream;
    this.#messages++;
    this.#bytes += message.payload.length;
    let open = true;
    let cancel: (() => void) | undefined;
    const settle = (): boolean => {
      if (!open) return false;
      open = false;
      cancel?.();
      this.#messages--;
      this.#bytes -= message.payload.length;
      this.pump();
      return true;
    };
    const expectWord = (): void => {
      cancel?.();
      cancel = clock.after(ackWaitMs, () => void (settle() && this.#consumer.giveBack(message)));
    };
    expectWord();
    return {
      message,
      ack: () => {
        settle();
        return Promise.resolve();
      },
      retryLater: (delayMs) => {
        if (settle()) clock.after(delayMs, () => this.#consumer.giveBack(message));
      },
      working: () => {
        if (open) expectWord();
      },
    };
  }
}
