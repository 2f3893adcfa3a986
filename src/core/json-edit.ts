import { scanArray, scanObject, skipValue, skipWhitespace, stringBetween } from './json-bytes.ts';

/** Where the key stands in the text of its object, with quotes; `inText` is absent for a new or renamed one. */
export type JsonMember = { key: string; inText?: { start: number; end: number }; value: JsonValue };

const quote = 0x22;
const comma = 0x2c;
const openBrace = 0x7b;
const openBracket = 0x5b;
const firstOfNull = 0x6e;
const signs = {
  ',': Buffer.from(','),
  ':': Buffer.from(':'),
  '{': Buffer.from('{'),
  '}': Buffer.from('}'),
  '[': Buffer.from('['),
  ']': Buffer.from(']'),
};

/**
 * A JSON text that can be changed in places. What is not changed is printed byte for byte as it was: numbers that a double cannot hold,
 * white space, escapes. An object or array is taken apart only when somebody looks into it.
 */
export class JsonValue {
  /** The text is a part of these bytes, without white space around it. */
  #bytes: Buffer;
  #start: number;
  #end: number;
  #members: readonly JsonMember[] | undefined;
  #elements: readonly JsonValue[] | undefined;
  #edited = false;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  /** Throws SyntaxError where the text cannot be one JSON value; inside of what nobody looks into, errors are not seen. */
  static parse(text: Uint8Array): JsonValue {
    const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
    const start = skipWhitespace(bytes, 0);
    const end = skipValue(bytes, start);
    if (skipWhitespace(bytes, end) < bytes.length) throw new SyntaxError('JSON text goes on after its value');
    return new JsonValue(bytes, start, end);
  }

  get kind(): 'object' | 'array' | 'scalar' {
    const first = this.#bytes[this.#start];
    return first === openBrace ? 'object' : first === openBracket ? 'array' : 'scalar';
  }

  get isNull(): boolean {
    return this.#bytes[this.#start] === firstOfNull;
  }

  /** Of an object, in the order of the text; keys are unescaped, and may be repeated. Empty for anything else. */
  get members(): readonly JsonMember[] {
    if (this.kind !== 'object') return [];
    if (this.#members === undefined) {
      const members: JsonMember[] = [];
      scanObject(this.#bytes, this.#start, members, readMember);
      this.#members = members;
    }
    return this.#members;
  }

  set members(members: readonly JsonMember[]) {
    this.#members = members;
    this.#edited = true;
  }

  /** Of an array. Empty for anything else. */
  get elements(): readonly JsonValue[] {
    if (this.kind !== 'array') return [];
    if (this.#elements === undefined) {
      const elements: JsonValue[] = [];
      scanArray(this.#bytes, this.#start, elements, readElement);
      this.#elements = elements;
    }
    return this.#elements;
  }

  set elements(elements: readonly JsonValue[]) {
    this.#elements = elements;
    this.#edited = true;
  }

  /** Puts another JSON text in the place of the whole value. */
  replace(text: string): void {
    this.#bytes = Buffer.from(text);
    this.#start = 0;
    this.#end = this.#bytes.length;
    this.#members = undefined;
    this.#elements = undefined;
    this.#edited = true;
  }

  /** What a scalar says: the characters of a string, the text of a number or literal as it stands. */
  get scalarText(): string {
    return this.#bytes[this.#start] === quote
      ? stringBetween(this.#bytes, this.#start, this.#end)
      : this.#bytes.toString('latin1', this.#start, this.#end);
  }

  get changed(): boolean {
    if (this.#edited) return true;
    if (this.#members !== undefined) return this.#members.some(({ value }) => value.changed);
    return this.#elements?.some((value) => value.changed) ?? false;
  }

  print(): Uint8Array {
    const printed = new Printed();
    this.#printTo(printed);
    return printed.whole();
  }

  #printTo(printed: Printed): void {
    if (this.#members !== undefined && this.changed) {
      printed.sign('{');
      for (const [at, { key, inText, value }] of this.#members.entries()) {
        if (at > 0) printed.separate(this.#bytes, inText?.start);
        if (inText === undefined) printed.add(Buffer.from(JSON.stringify(key)));
        else printed.add(this.#bytes, inText.start, inText.end);
        // With the colon, and the white space around it, as they were.
        if (inText !== undefined && value.#bytes === this.#bytes) printed.add(this.#bytes, inText.end, value.#start);
        else printed.sign(':');
        value.#printTo(printed);
      }
      printed.sign('}');
    } else if (this.#elements !== undefined && this.changed) {
      printed.sign('[');
      for (const [at, value] of this.#elements.entries()) {
        if (at > 0) printed.separate(this.#bytes, value.#bytes === this.#bytes ? value.#start : undefined);
        value.#printTo(printed);
      }
      printed.sign(']');
    } else printed.add(this.#bytes, this.#start, this.#end);
  }
}

function readMember(bytes: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, into: JsonMember[]): number {
  const end = skipValue(bytes, valueStart);
  const inText = { start: keyStart - 1, end: keyEnd + 1 };
  const key = stringBetween(bytes, inText.start, inText.end);
  into.push({ key, inText, value: new JsonValue(bytes as Buffer, valueStart, end) });
  return end;
}

function readElement(bytes: Uint8Array, start: number, into: JsonValue[]): number {
  const end = skipValue(bytes, start);
  into.push(new JsonValue(bytes as Buffer, start, end));
  return end;
}

type Part = { bytes: Buffer; start: number; end: number };

/** Collects the parts of a text; what stood together in the old one is one part. */
class Printed {
  readonly #parts: Part[] = [];
  #length = 0;

  add(bytes: Buffer, start = 0, end = bytes.length): void {
    this.#length += end - start;
    const last = this.#parts.at(-1);
    if (last?.bytes === bytes && last.end === start) last.end = end;
    else this.#parts.push({ bytes, start, end });
  }

  sign(sign: keyof typeof signs): void {
    this.add(signs[sign]);
  }

  /** A comma: the one of the old text, where it alone stands before what begins at `next`. */
  separate(bytes: Buffer, next: number | undefined): void {
    const last = this.#parts.at(-1);
    if (last?.bytes === bytes && last.end + 1 === next && bytes[last.end] === comma) this.add(bytes, last.end, next);
    else this.sign(',');
  }

  whole(): Uint8Array {
    const [only] = this.#parts;
    if (this.#parts.length === 1) return only!.bytes.subarray(only!.start, only!.end);
    const whole = Buffer.allocUnsafe(this.#length);
    let at = 0;
    for (const { bytes, start, end } of this.#parts) at += bytes.copy(whole, at, start, end);
    return whole;
  }
}
