import {
  asBytes,
  beforePrimaryTerm,
  beforeSeqNo,
  beforeSource,
  beforeTs,
  beforeVersion,
  envelopePrefix,
} from './envelope-text.ts';
import type { ChangeEvent } from './event.ts';
import { stringBytesMax, writeBytes, writeInteger, writeString } from './json-write.ts';

const closingBrace = 0x7d;
const newline = 0x0a;
/** More than the keys, the numbers and the operation of an envelope take. */
const commonBytesMax = 200;

/** Writes the envelopes of one tenant, index and operation as bytes, to the same text as `encodeEnvelope`. */
export class EnvelopeWriter {
  readonly #prefix: Uint8Array;
  readonly #operations = new Map<string, Uint8Array>();

  constructor({ tenant, index }: ChangeEvent) {
    this.#prefix = asBytes(envelopePrefix(tenant, index));
  }

  /** What the event's envelope takes at least. */
  bytesMin({ source }: ChangeEvent): number {
    return this.#prefix.length + (source?.length ?? 0);
  }

  /** What it takes at most. */
  bytesMax({ id, routing, extra, sourceRef, source }: ChangeEvent): number {
    let bytes = this.#prefix.length + stringBytesMax(id) + commonBytesMax + (source?.length ?? 0);
    if (routing !== undefined) bytes += stringBytesMax(routing);
    if (extra !== undefined) bytes += extra.length * 3;
    if (sourceRef !== undefined) bytes += JSON.stringify(sourceRef).length * 3;
    return bytes;
  }

  /** The offset after the envelope and its line end. */
  write(into: Buffer, at: number, event: ChangeEvent): number {
    let next = writeString(into, writeBytes(into, at, this.#prefix), event.id);
    next = writeInteger(into, writeBytes(into, next, this.#operation(event.op)), event.version);
    next = writeInteger(into, writeBytes(into, next, beforeSeqNo), event.seqNo);
    next = writeInteger(into, writeBytes(into, next, beforePrimaryTerm), event.primaryTerm);
    next = writeInteger(into, writeBytes(into, next, beforeTs), event.ts);
    const { routing, extra, sourceRef, source } = event;
    if (routing !== undefined) next += into.write(`,"routing":${JSON.stringify(routing)}`, next);
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
