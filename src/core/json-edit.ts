import { scanArray, scanObject, skipValue, skipWhitespace, stringBetween } from './json-bytes.ts';

/** `keyText` is the key as it stands in the text, with quotes; absent for a new one. */
export type JsonMember = { key: string; keyText?: Uint8Array; value: JsonValue };

const quote = 0x22;
const comma = Buffer.from(',');
const colon = Buffer.from(':');
const openBrace = Buffer.from('{');
const closeBrace = Buffer.from('}');
const openBracket = Buffer.from('[');
const closeBracket = Buffer.from(']');

/**
 * A JSON text that can be changed in places. What is not changed is printed byte for byte as it was: numbers that a double cannot hold,
 * white space, escapes. An object or array is taken apart only when somebody looks into it.
 */
export class JsonValue {
  #text: Uint8Array;
  #members: readonly JsonMember[] | undefined;
  #elements: readonly JsonValue[] | undefined;
  #edited = false;

  /** `text` is one value without white space around it. */
  constructor(text: Uint8Array) {
    this.#text = text;
  }

  /** Throws SyntaxError where the text cannot be one JSON value; inside of what nobody looks into, errors are not seen. */
  static parse(text: Uint8Array): JsonValue {
    const start = skipWhitespace(text, 0);
    const end = skipValue(text, start);
    if (skipWhitespace(text, end) < text.length) throw new SyntaxError('JSON text goes on after its value');
    return new JsonValue(text.subarray(start, end));
  }

  get kind(): 'object' | 'array' | 'scalar' {
    return this.#text[0] === 0x7b ? 'object' : this.#text[0] === 0x5b ? 'array' : 'scalar';
  }

  get isNull(): boolean {
    return this.#text[0] === 0x6e;
  }

  /** Of an object, in the order of the text; keys are unescaped, and may be repeated. Empty for anything else. */
  get members(): readonly JsonMember[] {
    if (this.kind !== 'object') return [];
    if (this.#members === undefined) {
      const members: JsonMember[] = [];
      scanObject(this.#text, 0, members, readMember);
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
      scanArray(this.#text, 0, elements, readElement);
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
    this.#text = Buffer.from(text);
    this.#members = undefined;
    this.#elements = undefined;
    this.#edited = true;
  }

  /** What a scalar says: the characters of a string, the text of a number or literal as it stands. */
  get scalarText(): string {
    const { buffer, byteOffset, byteLength } = this.#text;
    return this.#text[0] === quote
      ? stringBetween(this.#text, 0, byteLength)
      : Buffer.from(buffer, byteOffset, byteLength).toString();
  }

  get changed(): boolean {
    if (this.#edited) return true;
    if (this.#members !== undefined) return this.#members.some(({ value }) => value.changed);
    return this.#elements?.some((value) => value.changed) ?? false;
  }

  print(): Uint8Array {
    const parts: Uint8Array[] = [];
    this.#printTo(parts);
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  #printTo(parts: Uint8Array[]): void {
    if (this.#members !== undefined && this.changed) {
      parts.push(openBrace);
      for (const [at, { key, keyText, value }] of this.#members.entries()) {
        if (at > 0) parts.push(comma);
        parts.push(keyText ?? Buffer.from(JSON.stringify(key)), colon);
        value.#printTo(parts);
      }
      parts.push(closeBrace);
    } else if (this.#elements !== undefined && this.changed) {
      parts.push(openBracket);
      for (const [at, value] of this.#elements.entries()) {
        if (at > 0) parts.push(comma);
        value.#printTo(parts);
      }
      parts.push(closeBracket);
    } else parts.push(this.#text);
  }
}

function readMember(bytes: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, into: JsonMember[]): number {
  const end = skipValue(bytes, valueStart);
  into.push({
    key: stringBetween(bytes, keyStart - 1, keyEnd + 1),
    keyText: bytes.subarray(keyStart - 1, keyEnd + 1),
    value: new JsonValue(bytes.subarray(valueStart, end)),
  });
  return end;
}

function readElement(bytes: Uint8Array, start: number, into: JsonValue[]): number {
  const end = skipValue(bytes, start);
  into.push(new JsonValue(bytes.subarray(start, end)));
  return end;
}
