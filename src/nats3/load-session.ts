import { parseTime, readRuns, type ArchivePosition, type ArchiveRuns, type Selection } from '../archive/index.ts';
import { pause } from '../core/backoff.ts';
import { GatewayError } from '../core/errors.ts';
import { Chain, findStream, scanSubject } from '../jetstream/index.ts';
import type { LoadCursor, LoadRecord } from './job.ts';
import type { JobContext } from './job-context.ts';
import { LoadPace } from './load-pace.ts';
import { lifeOf, Replay } from './replay.ts';
import { subjectMap } from './subject-map.ts';

/** The cursor is written down this often: what comes after it is found in the target. */
const saveEveryMs = 250;
const drainMaxMs = 10_000;
/** Somebody else published in between so often before this many of ours were stored: the stream is not ours alone. */
const breaksMax = 3;
const calmMessages = 50_000;

/** What the target holds of this job beyond the cursor. */
type Found = { stored: Set<string>; bytes: number; last: ArchivePosition | undefined; lastSequence: number };

/**
 * Publishes what the archive holds, until it is told to stop or there is no more. What the target already has is looked up in the
 * target itself, from the cursor on: neither a lost answer nor a long absence repeats a message. Throws STREAM_MISSING, CHAIN_CUT, STREAM_FULL
 * (transient), MESSAGE_TOO_LARGE, ARCHIVE_DAMAGED, LEASE_LOST, NATS_*, S3_*.
 */
export async function loadSession(record: LoadRecord, context: JobContext): Promise<'done' | 'stopped'> {
  const { stop, abandon } = context;
  for (;;) {
    try {
      return await new LoadSession(record, context).run();
    } catch (error) {
      if (abandon.aborted || !(error instanceof GatewayError)) throw error;
      if (stop.aborted && error.code !== 'LEASE_LOST') return 'stopped';
      if (error.code !== 'CHAIN_BROKEN') throw error;
      context.meters.retries.inc();
      const cursor = context.ledger.state.load!;
      cursor.breaks++;
      if (cursor.breaks < breaksMax || cursor.mode === 'apart') continue;
      cursor.mode = 'apart';
      context.notice(
        new GatewayError(
          'STREAM_SHARED',
          `others publish to stream ${record.spec.write_stream} too: answers are awaited one by one`,
          {
            hint: 'a repeat is now kept out by the deduplication of the stream: see docs/nats3.md',
          },
        ),
      );
      await context.ledger.save();
    }
  }
}

class LoadSession {
  readonly #record: LoadRecord;
  readonly #context: JobContext;
  readonly #replay: Replay;
  readonly #pace: LoadPace;
  #cursor!: LoadCursor;
  #calm = 0;
  #failure: GatewayError | undefined;
  #saving: NodeJS.Timeout | undefined;

  constructor(record: LoadRecord, context: JobContext) {
    this.#record = record;
    this.#context = context;
    const { spec } = record;
    this.#replay = new Replay(record.id, subjectMap(spec.read_subject, spec.write_subject));
    this.#pace = new LoadPace(spec);
  }

  async run(): Promise<'done' | 'stopped'> {
    this.#cursor = await this.#position();
    const found = await this.#find();
    const chain = new Chain<number>(
      this.#context.link,
      { stream: this.#record.spec.write_stream, mode: this.#cursor.mode, lastSequence: found.lastSequence },
      {
        onStored: (tag, sequence, more) => this.#stored(tag, sequence, more),
        onFailed: (error) => (this.#failure = error),
      },
    );
    try {
      const all = await this.#publish(chain, found.stored);
      await Promise.race([chain.idle(), this.#abandoned(), ...(all ? [] : [pause(drainMaxMs)])]);
      this.#check();
      await this.#context.ledger.save();
      return all ? 'done' : 'stopped';
    } finally {
      chain.close();
      clearTimeout(this.#saving);
    }
  }

  /** Where the job is. The first time, the end of the target is noted before anything is published. */
  async #position(): Promise<LoadCursor> {
    const { ledger, link } = this.#context;
    const { write_stream: stream } = this.#record.spec;
    const info = await findStream(link, stream);
    if (info === undefined) {
      throw new GatewayError('STREAM_MISSING', `there is no stream ${stream} to load into`, {
        hint: 'the job waits for it',
        transient: true,
      });
    }
    const { created: targetCreated } = info;
    const before = ledger.state.load;
    const isSame = before?.targetCreated === targetCreated;
    if (isSame && before.targetSequence <= info.state.last_seq) return before;
    const start = { streamCreated: '', sequence: 0, mode: 'linked', breaks: 0 } as const;
    if (before === undefined) {
      ledger.state.load = { ...start, targetCreated, targetSequence: info.state.last_seq };
    } else {
      // Rolled back, it is searched from its first message on for what is left of ours; made anew, it gets what is still to come.
      ledger.state.load = { ...(isSame ? start : before), targetCreated, targetSequence: 0 };
      const what = isSame
        ? `stream ${stream} has lost its newest messages`
        : `stream ${stream} is not the one that was loaded into before`;
      this.#context.notice(
        new GatewayError('STREAM_RECREATED', what, { hint: isSame ? 'they are loaded again' : 'the load goes on where it was' }),
      );
    }
    await ledger.save();
    return ledger.state.load;
  }

  /** Looks through the target from the cursor on for what this job has published, and moves the cursor behind it. */
  async #find(): Promise<Found> {
    const { link, stop } = this.#context;
    const cursor = this.#cursor;
    const found: Found = { stored: new Set(), bytes: 0, last: undefined, lastSequence: 0 };
    const { lastSequence } = await scanSubject(link, {
      stream: this.#record.spec.write_stream,
      subject: '>',
      afterSequence: cursor.targetSequence,
      signal: stop,
      onMessage: ({ headers, payload }) => {
        const position = this.#replay.originOf(headers.get('Nats-Msg-Id'));
        if (position === undefined || !isAfter(position, cursor)) return;
        found.stored.add(`${position.streamCreated} ${position.sequence}`);
        found.bytes += payload.length;
        if (found.last === undefined || isAfter(position, found.last)) found.last = position;
      },
    });
    found.lastSequence = lastSequence;
    // Linked, a message is there only if all before it are. Apart, there may be gaps: each is looked up when its turn comes.
    if (found.last === undefined) cursor.targetSequence = lastSequence;
    else if (cursor.mode === 'linked') {
      this.#count(found.stored.size, found.bytes, found.last.sequence);
      Object.assign(cursor, found.last, { targetSequence: lastSequence });
      found.stored.clear();
    }
    return found;
  }

  /** True when everything was published; false when it is to stop. */
  async #publish(chain: Chain<number>, stored: Set<string>): Promise<boolean> {
    const { store, stop, abandon, ledger, meters } = this.#context;
    const { spec } = this.#record;
    const cursor = this.#cursor;
    const { streamCreated, sequence } = cursor;
    const batches = readRuns(store, selectionOf(this.#record), {
      after: streamCreated === '' ? undefined : { streamCreated, sequence },
      signal: AbortSignal.any([stop, abandon]),
      ...(spec.skip_damaged
        ? {
            onDamage: (error, { firstSequence, lastSequence }) => {
              const lost = lastSequence - firstSequence + 1;
              ledger.state.skipped += lost;
              meters.skipped.inc(lost);
              this.#context.notice(error);
            },
          }
        : {}),
    });
    for await (const batch of batches) {
      if (batch.streamCreated !== cursor.streamCreated) {
        await chain.idle();
        this.#check();
        cursor.streamCreated = batch.streamCreated;
        cursor.sequence = 0;
      }
      if (!(await this.#publishBatch(chain, batch, stored))) return false;
    }
    return true;
  }

  async #publishBatch(chain: Chain<number>, { streamCreated, runs }: ArchiveRuns, stored: Set<string>): Promise<boolean> {
    const { stop } = this.#context;
    const life = lifeOf(streamCreated);
    this.#check();
    await this.#context.lease.ensure();
    for (const { part, rows, isLast } of runs) {
      for (const row of rows) {
        const sequence = part.sequence(row);
        if (stored.size > 0 && stored.delete(`${streamCreated} ${sequence}`)) {
          this.#count(1, part.payloadEnd(row) - part.payloadAt(row), sequence);
          if (chain.inFlight === 0) this.#cursor.sequence = sequence;
          continue;
        }
        if (!this.#pace.isFree) await this.#keepPace(chain, part.timestamp(row));
        if (stop.aborted) return false;
        if (!chain.hasRoom) await this.#room(chain);
        chain.add(this.#replay.message(life, part, row), sequence);
      }
      if (isLast) part.free();
    }
    return true;
  }

  async #keepPace(chain: Chain<number>, timestamp: number): Promise<void> {
    const waitMs = this.#pace.waitMs(timestamp);
    if (waitMs <= 0) return;
    chain.flush();
    await pause(waitMs, this.#context.stop);
    this.#check();
  }

  async #room(chain: Chain<number>): Promise<void> {
    const startedAt = performance.now();
    await chain.room();
    this.#context.meters.publishSeconds.observe((performance.now() - startedAt) / 1000);
    this.#check();
  }

  #stored(tag: number, sequence: number, more: { messages: number; payloadBytes: number }): void {
    const cursor = this.#cursor;
    cursor.sequence = tag;
    cursor.targetSequence = sequence;
    this.#calm += more.messages;
    if (this.#calm > calmMessages) cursor.breaks = 0;
    this.#context.trouble('session', undefined);
    this.#count(more.messages, more.payloadBytes, tag);
    this.#saving ??= setTimeout(() => {
      this.#saving = undefined;
      this.#context.ledger.save().catch((error: unknown) => (this.#failure ??= error as GatewayError));
    }, saveEveryMs);
  }

  #count(messages: number, bytes: number, sequence: number): void {
    const { ledger, meters } = this.#context;
    const { state } = ledger;
    if (state.messages === 0) state.firstSequence = sequence;
    state.lastSequence = sequence;
    state.messages += messages;
    state.bytes += bytes;
    meters.messages.inc(messages);
    meters.bytes.inc(bytes);
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#context.abandon.aborted) throw this.#context.abandon.reason;
  }

  async #abandoned(): Promise<void> {
    const { abandon } = this.#context;
    if (!abandon.aborted)
      await new Promise<void>((resolve) => abandon.addEventListener('abort', () => resolve(), { once: true }));
  }
}

function isAfter(position: ArchivePosition, other: ArchivePosition): boolean {
  if (position.streamCreated !== other.streamCreated) return position.streamCreated > other.streamCreated;
  return position.sequence > other.sequence;
}

function selectionOf({ spec }: LoadRecord): Selection {
  return {
    prefix: spec.prefix,
    stream: spec.read_stream,
    ...(spec.read_job === undefined ? {} : { jobs: [spec.read_job] }),
    subjects: [spec.read_subject],
    ...(spec.from_seq === undefined ? {} : { fromSequence: spec.from_seq }),
    ...(spec.to_seq === undefined ? {} : { toSequence: spec.to_seq }),
    ...(spec.from === undefined ? {} : { from: parseTime(spec.from) }),
    ...(spec.to === undefined ? {} : { to: parseTime(spec.to) }),
  };
}
