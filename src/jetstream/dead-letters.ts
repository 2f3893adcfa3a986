import { describeError, GatewayError } from '../core/errors.ts';
import type { Message, Refusal } from '../core/strategy.ts';
import { Slots } from '../core/slots.ts';
import type { NatsLink } from './connect.ts';
import { encodeLetter, letterId, type LetterOrigin, type Undeliverable } from './dead-letter.ts';
import { type Documents, openDocuments } from './documents.ts';
import { openSink } from './sink.ts';
import type { JetStreamSink } from './sink-settings.ts';
import { ensureDeadLetterStream, type StreamSettings } from './streams.ts';

/** Letters on their way at once; more wait for their turn with what they are about. */
const lettersAtOnce = 64;
/** Left free in a message for its headers. */
const headerRoomBytes = 4096;
/** A letter that has waited for so long is news. */
const overdueMs = 5_000;

/** Keeps in a stream what the target refuses. Nothing that it keeps may be acknowledged before (invariant 1). */
export class DeadLetters {
  readonly #link: NatsLink;
  readonly #stream: StreamSettings;
  readonly #origin: LetterOrigin;
  readonly #sink: JetStreamSink;
  readonly #slots = new Slots(lettersAtOnce);
  /** When each letter that is not stored yet was first tried, by its id; tries that fail in between do not count as a new start. */
  readonly #waitingSince = new Map<string, number>();
  #bucket: Promise<Documents> | undefined;
  #lastTrouble = '';

  /** Makes or adopts the stream. Throws STREAM_*, NATS_*, JETSTREAM_*. */
  static async open(link: NatsLink, stream: StreamSettings, origin: LetterOrigin): Promise<DeadLetters> {
    await ensureDeadLetterStream(link, stream);
    return new DeadLetters(link, stream, origin);
  }

  private constructor(link: NatsLink, stream: StreamSettings, origin: LetterOrigin) {
    this.#link = link;
    this.#stream = stream;
    this.#origin = origin;
    const noteTrouble = (reason: string): void => {
      this.#lastTrouble = reason;
    };
    this.#sink = openSink(
      link,
      { stream: stream.name, windowMessages: lettersAtOnce },
      { onFull: (_full, reason) => noteTrouble(reason), onRetry: noteTrouble },
    );
  }

  /** Why letters wait, once they have waited for a while. */
  get trouble(): string | undefined {
    const [oldest] = this.#waitingSince.values();
    if (oldest === undefined || Date.now() - oldest < overdueMs) return undefined;
    const why = this.#link.connected ? this.#lastTrouble || 'it does not answer' : 'NATS is away';
    return `${this.#waitingSince.size} dead letters wait for stream ${this.#stream.name}: ${why}`;
  }

  /**
   * Resolves once the stream holds the letter; waits while it is full or away. Throws what is worth another try (the stream is made again
   * before that), and NATS_CLOSED, SINK_CLOSED at the end.
   */
  async keep(letter: Undeliverable, message: Message, refusal: Refusal): Promise<void> {
    const id = letterId(letter, message, this.#origin);
    if (!this.#waitingSince.has(id)) this.#waitingSince.set(id, Date.now());
    try {
      await this.#slots.run(() => this.#store(letter, message, refusal));
      this.#waitingSince.delete(id);
    } catch (error) {
      throw await this.#mended(error);
    }
  }

  async #store(letter: Undeliverable, message: Message, refusal: Refusal): Promise<void> {
    const now = Date.now();
    const whole = encodeLetter(letter, message, refusal, this.#origin, now);
    if (whole.payload.length + headerRoomBytes <= this.#link.maxPayload) {
      await this.#sink.publish(whole);
      return;
    }
    const bytes = letter.is === 'change' ? letter.event.source : message.payload;
    const documents = await (this.#bucket ??= openDocuments(this.#link, { stream: this.#stream.name }));
    const reference = await documents.put(letterId(letter, message, this.#origin), bytes ?? message.payload);
    const { sequence } = await this.#sink.publish(encodeLetter(letter, message, refusal, this.#origin, now, reference));
    await documents.stored(reference, sequence);
  }

  /** What a failed letter throws. Nothing but the end of the connection is final: the message it is about must not be lost. */
  async #mended(error: unknown): Promise<unknown> {
    if (!(error instanceof GatewayError) || error.code === 'NATS_CLOSED' || error.code === 'SINK_CLOSED') return error;
    this.#lastTrouble = error.message;
    this.#bucket = undefined;
    if (error.code.startsWith('STREAM_')) {
      try {
        await ensureDeadLetterStream(this.#link, this.#stream);
      } catch (cause) {
        this.#lastTrouble = describeError(cause);
      }
    }
    return new GatewayError(error.code, error.message, { hint: error.hint, transient: true, cause: error });
  }

  /** Ends the waiting: what is not stored by now comes again. */
  abandon(): void {
    this.#sink.abort(
      new GatewayError('DEAD_LETTER_ABANDONED', 'the program stops before a dead letter is stored', { transient: true }),
    );
  }

  close(): Promise<void> {
    return this.#sink.close();
  }
}
