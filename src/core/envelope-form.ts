import type { Common } from './change-block.ts';
import {
  DocumentSpans,
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
import { beginsWith, skipValue } from './json-bytes.ts';

const quote = 0x22;
const backslash = 0x5c;
const space = 0x20;
const zero = 0x30;
const comma = 0x2c;
const closingBrace = 0x7d;
const openingBrace = 0x7b;
const idBytesMax = 512;

/**
 * The envelopes of a frame look alike: same tenant, index and operation, keys in our own order. Those that are written so, to the byte, are read
 * here as spans; any other (unknown keys, escapes in an id, foreign spacing) is left to the reader of all forms.
 */
export class EnvelopeForm {
  readonly common: Common;
  /** Those read so far. */
  readonly documents: DocumentSpans;
  readonly #prefix: Uint8Array;
  readonly #operation: Uint8Array;
  #at = 0;

  /** The form of the envelopes in `bytes`, about so many, that stand with one of this tenant, index and operation. */
  constructor({ tenant, index, op }: Common, bytes: Buffer, documents: number) {
    this.common = { tenant, index, op };
    this.documents = new DocumentSpans(bytes, documents);
    this.#prefix = asBytes(envelopePrefix(tenant, index));
    this.#operation = asBytes(beforeVersion(op));
  }

  /** Takes the envelope on the line from `start` to `end` in; false when it is not of this form. */
  read(start: number, end: number): boolean {
    const row = this.documents.add();
    try {
      if (this.#read(row, start, end)) return true;
    } catch {
      // A document that does not end: the reader of all forms says what is wrong with it.
    }
    this.documents.takeBack();
    return false;
  }

  #read(row: number, start: number, end: number): boolean {
    const { documents } = this;
    const { bytes, spans } = documents;
    const span = row * spansEach;
    const number = row * numbersEach;
    this.#at = start;
    if (!this.#passes(this.#prefix) || !this.#text(span + idSpan)) return false;
    const idBytes = spans[span + idSpan + 1]! - spans[span + idSpan]! - 2;
    if (idBytes === 0 || idBytes > idBytesMax) return false;
    if (!this.#passes(this.#operation) || !this.#integer(number + versionNumber)) return false;
    if (!this.#passes(beforeSeqNo) || !this.#integer(number + seqNoNumber)) return false;
    if (!this.#passes(beforePrimaryTerm) || !this.#integer(number + primaryTermNumber)) return false;
    if (!this.#passes(beforeTs) || !this.#integer(number + tsNumber)) return false;
    if (bytes[this.#at] === comma && beginsWith(bytes, this.#at, beforeRouting)) {
      this.#at += beforeRouting.length;
      if (!this.#text(span + routingSpan)) return false;
    }
    if (this.common.op === 'delete') return bytes[this.#at] === closingBrace && this.#at + 1 === end;
    if (!this.#passes(beforeSource) || bytes[this.#at] !== openingBrace) return false;
    // Walked through all the same: whatever stands behind the document must not be taken for a part of it.
    const source = this.#at;
    const sourceEnd = skipValue(bytes, source);
    if (sourceEnd + 1 !== end || bytes[sourceEnd] !== closingBrace) return false;
    spans[span + sourceSpan] = source;
    spans[span + sourceSpan + 1] = sourceEnd;
    return true;
  }

  #passes(text: Uint8Array): boolean {
    if (!beginsWith(this.documents.bytes, this.#at, text)) return false;
    this.#at += text.length;
    return true;
  }

  /** A string in which nothing is escaped, and nothing would have to be. */
  #text(into: number): boolean {
    const { bytes, spans } = this.documents;
    const start = this.#at;
    if (bytes[start] !== quote) return false;
    let at = start + 1;
    for (; bytes[at] !== quote; at++) {
      const byte = bytes[at]!;
      if (!(byte >= space) || byte === backslash) return false;
    }
    this.#at = at + 1;
    spans[into] = start;
    spans[into + 1] = at + 1;
    return true;
  }

  /** A plain integer that a double holds exactly. */
  #integer(into: number): boolean {
    const { bytes, numbers } = this.documents;
    const from = this.#at;
    let at = from;
    let value = 0;
    for (; ; at++) {
      const digit = bytes[at]! - zero;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
    }
    this.#at = at;
    numbers[into] = value;
    return at > from && value <= Number.MAX_SAFE_INTEGER;
  }
}
