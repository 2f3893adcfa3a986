import { GatewayError } from '../core/errors.ts';
import type { OutgoingMessage, Stored } from '../core/strategy.ts';
import { encodeSubject, type SubjectOperation } from '../core/subject.ts';
import {
  type Documents,
  type EnsuredStream,
  type JetStreamSink,
  type NatsLink,
  openDocuments,
  openSink,
  openSpace,
  type StreamSpace,
} from '../jetstream/index.ts';

export type OutputPlan = {
  name: string;
  link: NatsLink;
  stream: string;
  /** Stands in subjects before `.{tenant}.{index}.{operation}`. */
  prefix: string;
  keepMs: number;
  replicas: number;
  /** Makes or adopts the stream. */
  ensure(): Promise<EnsuredStream>;
};

export type OutputEvents = {
  onFull(output: string, full: boolean, reason: string): void;
  onRetry(output: string, reason: string): void;
  onNotice(output: string, text: string): void;
};

/** Documents put into the object store whose message never followed: a crash lies between. */
const orphansAfterMs = 3_600_000;
const tidyEveryMs = 60_000;

/** One stream downstream: what goes there, and the room that it needs. */
export class Output {
  readonly plan: OutputPlan;
  readonly space: StreamSpace;
  readonly #sink: JetStreamSink;
  readonly #tidying: NodeJS.Timeout;
  #documents: Promise<Documents> | undefined;

  /** Throws STREAM_*, NATS_*, JETSTREAM_*. */
  static async open(plan: OutputPlan, events: OutputEvents): Promise<Output> {
    const made = await plan.ensure();
    for (const warning of made.warnings) events.onNotice(plan.name, warning);
    return new Output(plan, made, events);
  }

  private constructor(plan: OutputPlan, made: EnsuredStream, events: OutputEvents) {
    this.plan = plan;
    this.space = openSpace(plan.link, { stream: plan.stream, keepMs: plan.keepMs });
    this.space.start();
    this.#sink = openSink(
      plan.link,
      { stream: plan.stream, highestSequence: made.identity.lastSeq },
      {
        onFull: (full, reason) => {
          this.space.noteFull(full);
          events.onFull(plan.name, full, reason);
        },
        onRetry: (reason) => events.onRetry(plan.name, reason),
        onRegress: ({ sequence, highest }) =>
          events.onNotice(
            plan.name,
            `stream ${plan.stream} has lost what it had acknowledged (it was at ${highest} and is at ${sequence}): ` +
              'start the watcher with an empty checkpoint to send everything again',
          ),
      },
    );
    this.#tidying = setInterval(() => void this.#tidy(), tidyEveryMs);
  }

  get maxPayload(): number {
    return this.plan.link.maxPayload;
  }

  get full(): boolean {
    return this.#sink.full;
  }

  get inFlight(): { messages: number; bytes: number } {
    return this.#sink.inFlight;
  }

  subjectOf(of: { tenant: string; index: string; operation: SubjectOperation }): string {
    return encodeSubject(of, this.plan.prefix);
  }

  subjectFor(subject: string): string {
    return this.plan.prefix + subject.slice(subject.indexOf('.'));
  }

  documents(): Promise<Documents> {
    if (this.#documents === undefined) {
      this.#documents = openDocuments(this.plan.link, { stream: this.plan.stream, replicas: this.plan.replicas });
      // A failure is told to whoever asked; the next one asks again.
      this.#documents.catch(() => (this.#documents = undefined));
    }
    return this.#documents;
  }

  /** Resolves once the stream holds the message; waits while it is full or away. A stream that is gone is made again before this throws. */
  async publish(message: OutgoingMessage): Promise<Stored> {
    try {
      return await this.#sink.publish(message);
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'STREAM_MISSING') throw error;
      await this.plan.ensure();
      throw new GatewayError(error.code, error.message, { hint: 'it was made again', transient: true, cause: error });
    }
  }

  acknowledgedThrough(): Promise<number> {
    return this.space.ackFloor();
  }

  async #tidy(): Promise<void> {
    const documents = await this.#documents?.catch(() => undefined);
    // Tidying again comes by itself; what keeps it from being done is seen elsewhere.
    await documents?.removeThrough(this.space.purgedSeq, Date.now() - orphansAfterMs).catch(() => undefined);
  }

  /** Rejects what is not stored yet. */
  abandon(error: GatewayError): void {
    this.#sink.abort(error);
  }

  async close(): Promise<void> {
    clearInterval(this.#tidying);
    await this.space.stop();
    await this.#sink.close();
  }
}
