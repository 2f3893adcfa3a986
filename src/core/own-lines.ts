import type { ChangeEvent } from './event.ts';
import { beginsWith, readString, skipValue } from './json-bytes.ts';

const closingBrace = 0x7d;
const openBrace = 0x7b;
/** Any document id of so many UTF-16 units has an acceptable length; a longer one is for the thorough reader. */
const idLengthMax = 128;

/** What stands between the values of an envelope as our own writers print it. */
const spelling = {
  seqNo: Buffer.from(',"seq_no":'),
  primaryTerm: Buffer.from(',"primary_term":'),
  ts: Buffer.from(',"ts":'),
  source: Buffer.from(',"source":'),
};

/**
 * Reads the further lines of a frame whose first one is known, where they are spelt as our own writers spell them: what all lines of a frame
 * share is compared, and each key is known by its place. Everything else is left to the reader that takes keys in any order.
 */
export class OwnLines {
  readonly #shared: Pick<ChangeEvent, 'tenant' | 'index' | 'op'>;
  readonly #prefix: Buffer;
  readonly #operation: Buffer;
  #at = 0;

  /** `prefix` is what all envelopes of the frame begin with, up to the id. */
  constructor({ tenant, index, op }: ChangeEvent, prefix: string) {
    this.#shared = { tenant, index, op };
    this.#prefix = Buffer.from(prefix);
    this.#operation = Buffer.from(`,"op":"${op}","version":`);
  }

  /** The event between `start` and `end`; undefined where the line is spelt in any other way. */
  read(bytes: Buffer, start: number, end: number): ChangeEvent | undefined {
    try {
      return this.#read(bytes, start, end);
    } catch {
      // No JSON: the thorough reader says what is wrong with it.
      return undefined;
    }
  }

  #read(bytes: Buffer, start: number, end: number): ChangeEvent | undefined {
    if (!beginsWith(bytes, start, this.#prefix)) return undefined;
    const id = readString(bytes, start + this.#prefix.length);
    if (id.value.length === 0 || id.value.length > idLengthMax) return undefined;
    this.#at = id.end;
    const version = this.#integer(bytes, this.#operation);
    const seqNo = this.#integer(bytes, spelling.seqNo);
    const primaryTerm = this.#integer(bytes, spelling.primaryTerm);
    const ts = this.#integer(bytes, spelling.ts);
    if (version < 0 || seqNo < 0 || primaryTerm < 0 || ts < 0) return undefined;
    const { tenant, index, op } = this.#shared;
    const event: ChangeEvent = { tenant, index, id: id.value, op, version, seqNo, primaryTerm, ts };
    if (op !== 'delete') {
      if (!beginsWith(bytes, this.#at, spelling.source)) return undefined;
      const from = this.#at + spelling.source.length;
      if (bytes[from] !== openBrace) return undefined;
      this.#at = skipValue(bytes, from);
      event.source = bytes.subarray(from, this.#at);
    }
    return this.#at + 1 === end && bytes[this.#at] === closingBrace ? event : undefined;
  }

  /** The integer after `before`, which must stand here; -1 where it does not, or where the digits are none that a double holds. */
  #integer(bytes: Buffer, before: Buffer): number {
    if (!beginsWith(bytes, this.#at, before)) return -1;
    const first = this.#at + before.length;
    let value = 0;
    let at = first;
    for (let digit = bytes[at]! - 0x30; digit >= 0 && digit <= 9; digit = bytes[++at]! - 0x30) value = value * 10 + digit;
    this.#at = at;
    return at > first && value <= Number.MAX_SAFE_INTEGER ? value : -1;
  }
}
