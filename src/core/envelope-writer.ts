import { ChangeBlock, type ChangeList } from './change-block.ts';
import {
  idSpan,
  numbersEach,
  primaryTermNumber,
  routingSpan,
  seqNoNumber,
  sourceSpan,
  spansEach,
  tsNumber,
  versionNumber,
} from './document-spans.ts';
import {
  asBytes,
  beforePrimaryTerm,
  beforeRouting,
  beforeSeqNo,
  beforeSource,
  beforeTs,
  beforeVersion,
  envelopePrefix,
} from './envelope-text.ts';
import type { ChangeEvent } from './event.ts';
import { copyBytes, stringBytesMax, writeBytes, writeInteger, writeString } from './json-write.ts';

const closingBrace = 0x7d;
const newline = 0x0a;
/** More than the keys, the numbers and the operation of an envelope take. */
const commonBytesMax = 200;

/** The envelopes of changes of one tenant and index, to the same text as `encodeEnvelope`. */
export interface EnvelopeWriter {
  /** What the envelope of the change at this place takes at least, and at most. */
  bytesMin(place: number): number;
  bytesMax(place: number): number;
  /** Writes it and its line end; the offset after them. */
  write(into: Buffer, at: number, place: number): number;
  seqNo(place: number): number;
  /** Its document lies in an object store. */
  refers(place: number): boolean;
}

export function envelopeWriter(changes: ChangeList): EnvelopeWriter {
  return changes instanceof ChangeBlock ? new BlockEnvelopes(changes) : new EventEnvelopes([...changes]);
}

class BlockEnvelopes implements EnvelopeWriter {
  readonly #block: ChangeBlock;
  readonly #prefix: Uint8Array;
  readonly #operation: Uint8Array;

  constructor(block: ChangeBlock) {
    const { tenant, index, op } = block.common;
    this.#block = block;
    this.#prefix = asBytes(envelopePrefix(tenant, index));
    this.#operation = asBytes(beforeVersion(op));
  }

  bytesMin(place: number): number {
    return this.#prefix.length + this.#length(place, sourceSpan);
  }

  bytesMax(place: number): number {
    const texts = this.#length(place, idSpan) + this.#length(place, routingSpan) + this.#length(place, sourceSpan);
    return this.#prefix.length + commonBytesMax + texts;
  }

  seqNo(place: number): number {
    return this.#block.documents.number(this.#block.from + place, seqNoNumber);
  }

  refers(): boolean {
    return false;
  }

  write(into: Buffer, at: number, place: number): number {
    const { bytes, spans, numbers } = this.#block.documents;
    const row = this.#block.from + place;
    const span = row * spansEach;
    const number = row * numbersEach;
    let next = writeBytes(into, at, this.#prefix);
    next = copyBytes(into, next, bytes, spans[span + idSpan]!, spans[span + idSpan + 1]!);
    next = writeInteger(into, writeBytes(into, next, this.#operation), numbers[number + versionNumber]!);
    next = writeInteger(into, writeBytes(into, next, beforeSeqNo), numbers[number + seqNoNumber]!);
    next = writeInteger(into, writeBytes(into, next, beforePrimaryTerm), numbers[number + primaryTermNumber]!);
    next = writeInteger(into, writeBytes(into, next, beforeTs), numbers[number + tsNumber]!);
    const routingEnd = spans[span + routingSpan + 1]!;
    if (routingEnd !== 0) {
      next = copyBytes(into, writeBytes(into, next, beforeRouting), bytes, spans[span + routingSpan]!, routingEnd);
    }
    const sourceEnd = spans[span + sourceSpan + 1]!;
    if (sourceEnd !== 0) {
      next = copyBytes(into, writeBytes(into, next, beforeSource), bytes, spans[span + sourceSpan]!, sourceEnd);
    }
    into[next++] = closingBrace;
    into[next++] = newline;
    return next;
  }

  #length(place: number, which: number): number {
    const at = (this.#block.from + place) * spansEach + which;
    return this.#block.documents.spans[at + 1]! - this.#block.documents.spans[at]!;
  }
}

class EventEnvelopes implements EnvelopeWriter {
  readonly #events: readonly ChangeEvent[];
  readonly #prefix: Uint8Array;
  readonly #operations = new Map<string, Uint8Array>();

  constructor(events: readonly ChangeEvent[]) {
    const { tenant, index } = events[0]!;
    this.#events = events;
    this.#prefix = asBytes(envelopePrefix(tenant, index));
  }

  bytesMin(place: number): number {
    return this.#prefix.length + (this.#events[place]!.source?.length ?? 0);
  }

  bytesMax(place: number): number {
    const { id, routing, extra, sourceRef, source } = this.#events[place]!;
    let bytes = this.#prefix.length + stringBytesMax(id) + commonBytesMax + (source?.length ?? 0);
    if (routing !== undefined) bytes += stringBytesMax(routing);
    if (extra !== undefined) bytes += extra.length * 3;
    if (sourceRef !== undefined) bytes += JSON.stringify(sourceRef).length * 3;
    return bytes;
  }

  seqNo(place: number): number {
    return this.#events[place]!.seqNo;
  }

  refers(place: number): boolean {
    return this.#events[place]!.sourceRef !== undefined;
  }

  write(into: Buffer, at: number, place: number): number {
    const event = this.#events[place]!;
    let next = writeString(into, writeBytes(into, at, this.#prefix), event.id);
    next = writeInteger(into, writeBytes(into, next, this.#operation(event.op)), event.version);
    next = writeInteger(into, writeBytes(into, next, beforeSeqNo), event.seqNo);
    next = writeInteger(into, writeBytes(into, next, beforePrimaryTerm), event.primaryTerm);
    next = writeInteger(into, writeBytes(into, next, beforeTs), event.ts);
    const { routing, extra, sourceRef, source } = event;
    if (routing !== undefined) next = writeString(into, writeBytes(into, next, beforeRouting), routing);
    if (extra !== undefined) next += into.write(`,${extra}`, next);
    if (sourceRef !== undefined) next += into.write(`,"source_ref":${JSON.stringify(sourceRef)}`, next);
    else if (source !== undefined) {
      next = writeBytes(into, next, beforeSource);
      into.set(source, next);
      next += source.length;
    }
    into[next++] = closingBrace;
    into[next++] = newline;
    return next;
  }

  #operation(op: string): Uint8Array {
    let bytes = this.#operations.get(op);
    if (bytes === undefined) {
      bytes = asBytes(beforeVersion(op));
      this.#operations.set(op, bytes);
    }
    return bytes;
  }
}
