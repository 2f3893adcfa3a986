import { crc32 } from 'node:zlib';
import { BufferPool } from '../core/buffer-pool.ts';
import { encodeDrop } from '../core/drop.ts';
import { ChangeBlock, type ChangeList } from '../core/change-block.ts';
import type { ChangeEvent, DocumentOperation, IndexDrop } from '../core/event.ts';
import { type Frame, frameHeaders, type FrameLimits, packFrames, sealPooled } from '../core/frame.ts';
import { Slots } from '../core/slots.ts';
import type { ChangeBatch, Stored } from '../core/strategy.ts';
import { encodeSubject } from '../core/subject.ts';
import type { Documents, JetStreamSink } from '../jetstream/index.ts';

export type PublisherEvents = {
  onFrame?(frame: {
    index: string;
    operation: DocumentOperation;
    documents: number;
    bytes: number;
    payloadBytes: number;
    tookMs: number;
  }): void;
  onLargeDocument?(index: string, bytes: number): void;
};

export type PublisherParts = {
  sink: JetStreamSink;
  /** Opened when the first document comes that is too large for a message. */
  documents(): Promise<Documents>;
  /** The server's limit of a message, headers included. */
  maxPayload: number;
  limits: FrameLimits;
  now: () => number;
};

const sealedAtOnce = 4;
/** Left free in a message for its headers. */
const headerRoomBytes = 4096;

/** Turns batches of changes into frames, and frames into messages of the stream. */
export class Publisher {
  readonly #parts: PublisherParts;
  /** Every compression holds a few MB while it waits for a thread. */
  readonly #sealing = new Slots(sealedAtOnce);
  readonly #memory: BufferPool;
  readonly #events: PublisherEvents;

  constructor(parts: PublisherParts, events: PublisherEvents = {}) {
    this.#parts = parts;
    this.#events = events;
    this.#memory = new BufferPool(sealedAtOnce, 2 * parts.limits.bytesMax);
  }

  /** Resolves with the highest stream sequence once the stream holds all of the batch. */
  async publish(batch: ChangeBatch): Promise<number> {
    if (batch.drop !== undefined) return this.#publishDrop(batch.drop, batch.origin);
    const sent: Promise<number>[] = [];
    for (const events of byOperation(batch.events)) {
      const frames = this.#pack(events);
      let at = 0;
      for (;;) {
        await this.#parts.sink.room();
        // A frame is packed when it can be compressed, not before.
        const release = await this.#sealing.acquire();
        const { value: packed } = frames.next();
        if (packed === undefined) {
          release();
          break;
        }
        const framed = events.slice(at, (at += packed.documents));
        const sealed = this.#seal(packed).finally(release);
        const work = sealed.then((frame) => this.#publishFrame(frame, framed, batch.origin));
        work.catch(() => {});
        sent.push(work);
      }
    }
    return Math.max(0, ...(await Promise.all(sent)));
  }

  #pack(events: ChangeList): Generator<Frame, void> {
    return packFrames(events, this.#parts.limits, (bytes) => this.#memory.take(bytes));
  }

  /** In memory of its own: it may be held for long. */
  #seal(packed: Frame): Promise<Frame> {
    return sealPooled(packed, this.#parts.limits, this.#memory);
  }

  async #publishFrame(frame: Frame, events: ChangeList, origin: string): Promise<number> {
    if (frame.payload.length + headerRoomBytes > this.#parts.maxPayload) return this.#publishInParts(events, origin);
    const first = events.at(0)!;
    const startedAt = this.#parts.now();
    const stored = await this.#send(first, frame, messageId(origin, frame, first.op, events));
    this.#events.onFrame?.({
      index: first.index,
      operation: first.op,
      documents: frame.documents,
      bytes: frame.bytes,
      payloadBytes: frame.payload.length,
      tookMs: this.#parts.now() - startedAt,
    });
    return stored.sequence;
  }

  #send(event: ChangeEvent, frame: Frame, id: string): Promise<Stored> {
    return this.#parts.sink.publish({
      subject: encodeSubject({ tenant: event.tenant, index: event.index, operation: event.op }),
      payload: frame.payload,
      id,
      headers: frameHeaders(frame),
    });
  }

  /** A frame too large for a message: halves, and in the end a single document by way of the object store (D3). */
  async #publishInParts(events: ChangeList, origin: string): Promise<number> {
    if (events.length > 1) {
      const half = Math.ceil(events.length / 2);
      const sequences = await Promise.all(
        [events.slice(0, half), events.slice(half)].flatMap((part) =>
          [...this.#pack(part)].map((frame) => this.#sealAndPublish(frame, part, origin)),
        ),
      );
      return Math.max(...sequences);
    }
    const { source, ...event } = events.at(0)!;
    const documents = await this.#parts.documents();
    const reference = await documents.put(`${origin}.${event.seqNo}`, source!);
    this.#events.onLargeDocument?.(event.index, source!.length);
    const referring = [{ ...event, sourceRef: reference }];
    const [frame] = this.#pack(referring);
    const sequence = await this.#sealAndPublish(frame!, referring, origin);
    await documents.stored(reference, sequence);
    return sequence;
  }

  async #sealAndPublish(packed: Frame, events: ChangeList, origin: string): Promise<number> {
    return this.#publishFrame(await this.#sealing.run(() => this.#seal(packed)), events, origin);
  }

  async #publishDrop(drop: IndexDrop, origin: string): Promise<number> {
    await this.#parts.sink.room();
    const stored = await this.#parts.sink.publish({
      subject: encodeSubject({ tenant: drop.tenant, index: drop.index, operation: 'drop' }),
      payload: encodeDrop(drop),
      id: origin,
    });
    return stored.sequence;
  }
}

/**
 * What stands at a sequence number never changes, and a later reading can only find fewer documents in a range, so range and count name the
 * contents. Not so with deletes, which are found again at the same checkpoint: there the ids decide, or a new one would pass for a repeat.
 */
function messageId(origin: string, frame: Frame, op: DocumentOperation, events: ChangeList): string {
  const id = `${origin}.${op}.${frame.firstSeqNo}-${frame.lastSeqNo}.${frame.documents}`;
  if (op !== 'delete') return id;
  let crc = 0;
  for (const event of events) crc = crc32(`${event.id}\n${event.routing ?? ''}\n`, crc);
  return `${id}.${crc.toString(16)}`;
}

/** Changes by operation, each in its order: a subject has one operation. */
function byOperation(changes: ChangeList): ChangeList[] {
  return changes instanceof ChangeBlock ? [changes] : [...Map.groupBy(changes, ({ op }) => op).values()];
}
