import { BlockWriter, storeBlock, type SealedBlock } from '../archive/index.ts';
import { GatewayError } from '../core/errors.ts';
import { Slots } from '../core/slots.ts';
import { openOrderedSource, streamIdentity, type Mark, type OrderedSource, type WireMessage } from '../jetstream/index.ts';
import { consumerOf, type StoreCursor, type StoreRecord } from './job.ts';
import type { JobContext } from './job-context.ts';

type Block = { mark: Mark; stored: { sealed: SealedBlock; bytes: number } | undefined };

/** Messages delivered and not stored, at most: what their number costs nats-server. */
const windowMessages = 400_000;
const lookEveryMs = 1_000;
const earlierCutMs = 10_000;

/**
 * Reads one life of the stream into blocks, until it is told to stop or the job is done. Where a block is cut is written down before the
 * block is: after a crash it is cut there again, and is the same object. A message is acknowledged once its block is in the bucket and
 * the state says so (invariant 1). Throws STREAM_MISSING, STREAM_RECREATED (both transient), STREAM_ROLLED_BACK, LEASE_LOST, CONSUMER_SHAPE,
 * NATS_*, ARCHIVE_*, S3_*.
 */
export async function storeSession(record: StoreRecord, context: JobContext): Promise<'done' | 'stopped'> {
  const { ledger, link } = context;
  const { stream, start_seq: startSequence } = record.spec;
  const identity = await streamIdentity(link, stream);
  if (identity === undefined) {
    throw new GatewayError('STREAM_MISSING', `there is no stream ${stream}`, { hint: 'the job waits for it', transient: true });
  }
  const before = ledger.state.store;
  if (before?.streamCreated !== identity.created) {
    // Of a stream that was made anew nothing is stored yet, wherever the job had begun in the one before.
    const sequence = before === undefined ? Math.max(0, startSequence - 1) : 0;
    ledger.state.store = { streamCreated: identity.created, sequence, cuts: [] };
    await ledger.save();
  } else if (identity.lastSeq < before.sequence) {
    throw new GatewayError(
      'STREAM_ROLLED_BACK',
      `stream ${stream} ends at ${identity.lastSeq}, and messages up to ${before.sequence} of it are in the archive`,
      { hint: 'it was restored from an older copy: its sequences mean other messages now; archive it under another --prefix' },
    );
  }
  return new StoreSession(record, context, ledger.state.store!).run();
}

class StoreSession {
  readonly #record: StoreRecord;
  readonly #context: JobContext;
  readonly #cursor: StoreCursor;
  readonly #slots: Slots;
  /** Cuts of an earlier run that are still to come. */
  readonly #cuts: number[];
  readonly #blocks: Block[] = [];
  readonly #end = Promise.withResolvers<'done' | 'stopped'>();
  #source: OrderedSource | undefined;
  #writer: BlockWriter | undefined;
  #after: number;
  #age: NodeJS.Timeout | undefined;
  #finishing = false;
  #settling = false;
  /** Looks in a row at which nothing was in hand and nothing left. */
  #quietLooks = 0;
  #idle: PromiseWithResolvers<void> | undefined;
  #failure: unknown;

  constructor(record: StoreRecord, context: JobContext, cursor: StoreCursor) {
    this.#record = record;
    this.#context = context;
    this.#cursor = cursor;
    this.#slots = new Slots(context.settings.uploadsMax);
    this.#cuts = cursor.cuts.filter((cut) => cut > cursor.sequence).sort((a, b) => a - b);
    this.#after = cursor.sequence;
  }

  async run(): Promise<'done' | 'stopped'> {
    const { stop, abandon, link, settings } = this.#context;
    const { spec } = this.#record;
    if (spec.end_seq !== undefined && this.#cursor.sequence >= spec.end_seq) return 'done';
    const finish = (): void => this.#finish('stopped');
    const drop = (): void => this.#fail(abandon.reason);
    stop.addEventListener('abort', finish, { once: true });
    abandon.addEventListener('abort', drop, { once: true });
    const looking = setInterval(() => void this.#look(), lookEveryMs);
    try {
      this.#source = await openOrderedSource(
        link,
        {
          stream: spec.stream,
          streamCreated: this.#cursor.streamCreated,
          consumer: consumerOf(this.#record),
          filterSubjects: [spec.subject],
          durable: this.#cursor.sequence,
          windowMessages,
          windowBytes: settings.inflightBytesMax,
        },
        {
          onMessage: (message, pending) => this.#take(message, pending),
          onWarning: (warning) => this.#context.notice(warning),
          onEnd: (error) => this.#ended(error),
        },
      );
      this.#context.trouble('session', undefined);
      if (stop.aborted) finish();
      if (abandon.aborted) drop();
      return await this.#end.promise;
    } finally {
      clearInterval(looking);
      clearTimeout(this.#age);
      stop.removeEventListener('abort', finish);
      abandon.removeEventListener('abort', drop);
      await this.#source?.stop();
    }
  }

  #take(message: WireMessage, pending: number): void {
    if (this.#finishing) return;
    const { spec } = this.#record;
    const { end_seq: end } = spec;
    if (end !== undefined && message.sequence > end) {
      this.#finish('done');
      return;
    }
    const writer = (this.#writer ??= this.#begin());
    void writer.place(message);
    this.#context.ledger.state.lag = pending;
    // A cut whose message is gone from the stream cannot be made again.
    while (this.#cuts.length > 0 && this.#cuts[0]! < message.sequence) this.#cuts.shift();
    const { max_messages: messagesMax, max_bytes: bytesMax } = spec.batch;
    if (this.#cuts[0] === message.sequence || writer.messages >= messagesMax || writer.bytes >= bytesMax) this.#cut();
    if (end !== undefined && (message.sequence >= end || pending === 0)) this.#finish('done');
  }

  #begin(): BlockWriter {
    const { spec, name } = this.#record;
    // A cut of an earlier run is made when its message comes, which is in the stream already, or was deleted from it.
    const ageMs = this.#cuts.length === 0 ? spec.batch.max_age_ms : Math.max(spec.batch.max_age_ms, earlierCutMs);
    this.#age = setTimeout(() => this.#cut(), ageMs);
    return new BlockWriter({
      stream: spec.stream,
      streamCreated: this.#cursor.streamCreated,
      job: name,
      format: spec.format,
      compression: spec.compression.algorithm,
      ...(spec.compression.level === undefined ? {} : { level: spec.compression.level }),
      after: this.#after,
    });
  }

  /** What was taken so far is a block. */
  #cut(): void {
    clearTimeout(this.#age);
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#writer = undefined;
    this.#after = writer.lastSequence;
    const block: Block = { mark: this.#source!.mark(), stored: undefined };
    this.#blocks.push(block);
    if (!this.#cursor.cuts.includes(writer.lastSequence)) this.#cursor.cuts.push(writer.lastSequence);
    this.#store(writer, block).catch((error: unknown) => this.#fail(error));
  }

  async #store(writer: BlockWriter, block: Block): Promise<void> {
    const { ledger, store, abandon, meters } = this.#context;
    const { prefix } = this.#record.spec;
    const [sealed] = await Promise.all([writer.seal(), ledger.save()]);
    await this.#slots.run(async () => {
      const startedAt = performance.now();
      const outcome = await storeBlock(store, prefix, sealed, abandon);
      meters.uploadSeconds.observe((performance.now() - startedAt) / 1000);
      if (outcome.beside !== undefined) {
        const { key, reason } = outcome.beside;
        const text = `${key} was there already and stays as it is: ${reason}; the block is ${outcome.key}`;
        this.#context.notice(new GatewayError('ARCHIVE_KEY_TAKEN', text, { hint: 'both are read, and each message once' }));
      }
      block.stored = { sealed, bytes: outcome.bytes };
    });
    await this.#settle();
  }

  /** In the order of the stream, as far as everything before is in the bucket too. */
  async #settle(): Promise<void> {
    if (this.#settling) return;
    this.#settling = true;
    const { ledger } = this.#context;
    while (this.#blocks[0]?.stored !== undefined && this.#failure === undefined) {
      const ready: Block[] = [];
      while (this.#blocks[ready.length]?.stored !== undefined) ready.push(this.#blocks[ready.length]!);
      for (const { stored } of ready) this.#count(stored!.sealed, stored!.bytes);
      this.#cursor.cuts = this.#cursor.cuts.filter((cut) => cut > this.#cursor.sequence);
      await ledger.save();
      this.#blocks.splice(0, ready.length);
      for (const { mark } of ready) this.#source!.settle(mark);
    }
    this.#settling = false;
    if (this.#blocks.length === 0) this.#idle?.resolve();
  }

  #count(sealed: SealedBlock, bytes: number): void {
    const { state } = this.#context.ledger;
    this.#cursor.sequence = sealed.lastSequence;
    if (state.messages === 0) state.firstSequence = sealed.firstSequence;
    state.lastSequence = sealed.lastSequence;
    state.messages += sealed.messages;
    state.bytes += sealed.bytes;
    state.storedBytes += bytes;
    state.objects++;
    const { meters } = this.#context;
    meters.messages.inc(sealed.messages);
    meters.bytes.inc(sealed.bytes);
    meters.storedBytes.inc(bytes);
    meters.objects.inc();
  }

  /** Takes no more, and ends when everything that was taken is acknowledged. */
  #finish(as: 'done' | 'stopped'): void {
    if (this.#finishing || this.#source === undefined) return;
    this.#finishing = true;
    this.#source.pause();
    this.#cut();
    this.#confirmed().then(
      () => this.#end.resolve(as),
      (error: unknown) => this.#end.reject(error),
    );
  }

  async #endWith(error: GatewayError): Promise<void> {
    try {
      await this.#drained();
      this.#end.reject(error);
    } catch (other) {
      this.#end.reject(other);
    }
  }

  async #confirmed(): Promise<void> {
    await this.#drained();
    await this.#source?.confirmed();
  }

  /** The stream is gone, or its consumer cannot be read: what was taken is stored all the same, as it may be nowhere else. */
  #ended(error: GatewayError): void {
    if (this.#finishing) return;
    this.#finishing = true;
    this.#context.trouble('reading', error);
    this.#cut();
    void this.#endWith(error);
  }

  async #drained(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#blocks.length === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#finishing = true;
    this.#idle?.reject(error);
    this.#end.reject(error);
  }

  /** Finds out whether a job with an end is done although its last message does not come: it is gone, or outside the filter. */
  async #look(): Promise<void> {
    const source = this.#source;
    const { ledger, meters } = this.#context;
    if (source === undefined || this.#finishing) return;
    meters.inflightBytes.set(source.outstanding.bytes);
    const isQuiet = (): boolean => this.#writer === undefined && this.#blocks.length === 0 && source.outstanding.messages === 0;
    const wasQuiet = isQuiet();
    const pending = await source.pending().catch(() => undefined);
    if (pending === undefined || pending === Infinity) {
      this.#quietLooks = 0;
      return;
    }
    ledger.state.lag = pending + source.outstanding.messages;
    meters.lag.set(ledger.state.lag);
    // Twice: an answer may come before deliveries that were sent earlier.
    this.#quietLooks = wasQuiet && isQuiet() && pending === 0 ? this.#quietLooks + 1 : 0;
    if (this.#quietLooks >= 2 && this.#record.spec.end_seq !== undefined) this.#finish('done');
  }
}
