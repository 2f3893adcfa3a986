import { GatewayError } from './errors.ts';
import { beginsWith, type MemberVisitor, scanObject, skipValue, skipWhitespace, stringBetween } from './json-bytes.ts';

type Scalar = string | number | bigint | boolean | null;

/** A condition on a document, by dotted path. An array matches when one of its elements does. */
export type FieldCondition =
  | { exists: string }
  | { equals: { field: string; value: Scalar } }
  | { in: { field: string; values: readonly Scalar[] } }
  | { range: { field: string; gt?: Scalar; gte?: Scalar; lt?: Scalar; lte?: Scalar } }
  | { prefix: { field: string; value: string } }
  | { and: readonly FieldCondition[] }
  | { or: readonly FieldCondition[] }
  | { not: FieldCondition };

type Test = (document: unknown) => boolean;

/** Compiles a condition to a test of a document's bytes. Integers beyond 2^53 are compared exactly. */
export function fieldTest(condition: FieldCondition): (source: Uint8Array) => boolean {
  const test = compile(condition);
  const heads = new Heads(fieldsOf(condition));
  return (source) => test(heads.membersOf(source));
}

function fieldsOf(condition: FieldCondition): string[] {
  if ('and' in condition) return condition.and.flatMap(fieldsOf);
  if ('or' in condition) return condition.or.flatMap(fieldsOf);
  if ('not' in condition) return fieldsOf(condition.not);
  if ('exists' in condition) return [condition.exists];
  return Object.values(condition).map(({ field }) => field);
}

type Members = Record<string, unknown>;

/** The first keys that lead to some fields: of `a.b`, `a` and `a.b`. */
class Heads {
  readonly #heads: ReadonlyMap<string, Buffer>;
  readonly #visit: MemberVisitor<Members>;

  constructor(fields: readonly string[]) {
    const texts = fields.flatMap((field) => {
      const tokens = field.split('.');
      return tokens.map((_, last) => tokens.slice(0, last + 1).join('.'));
    });
    this.#heads = new Map(texts.map((text) => [text, Buffer.from(text)]));
    this.#visit = (bytes, keyStart, keyEnd, valueStart, into) => {
      const end = skipValue(bytes, valueStart);
      const head = this.#headAt(bytes, keyStart, keyEnd);
      if (head !== undefined) into[head] = parseExact((bytes as Buffer).toString('utf8', valueStart, end));
      return end;
    };
  }

  /** The members of a document that any of the fields may be found in. The others are walked over and not read. */
  membersOf(source: Uint8Array): Members {
    const bytes = source instanceof Buffer ? source : Buffer.from(source.buffer, source.byteOffset, source.byteLength);
    // Without a prototype: a document may have a key of the name __proto__.
    const members = Object.create(null) as Members;
    scanObject(bytes, skipWhitespace(bytes, 0), members, this.#visit);
    return members;
  }

  #headAt(bytes: Uint8Array, start: number, end: number): string | undefined {
    for (let at = start; at < end; at++) {
      if (bytes[at] !== backslash) continue;
      const key = stringBetween(bytes, start - 1, end + 1);
      return this.#heads.has(key) ? key : undefined;
    }
    for (const [head, spelt] of this.#heads) if (spelt.length === end - start && beginsWith(bytes, start, spelt)) return head;
    return undefined;
  }
}

const backslash = 0x5c;

/** JSON.parse, but integers that a double cannot hold become bigints. */
export function parseExact(text: string): unknown {
  // A double holds every integer of fewer digits, and looking at each value costs ten times as much as the parser alone.
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && context?.source !== undefined && /^-?\d+$/.test(context.source)
      ? BigInt(context.source)
      : value,
  );
}

/**
 * Every value at a dotted path. Objects may spell a path with dots in a key (`{"a.b":1}`), nested (`{"a":{"b":1}}`) or both ways;
 * arrays are looked into.
 */
export function valuesAt(document: unknown, path: string): unknown[] {
  if (Array.isArray(document)) return document.flatMap((element) => valuesAt(element, path));
  if (typeof document !== 'object' || document === null) return [];
  let found: unknown[] = [];
  const record = document as Record<string, unknown>;
  if (Object.hasOwn(record, path)) found = [record[path]].flat(Infinity);
  for (let dot = path.indexOf('.'); dot !== -1; dot = path.indexOf('.', dot + 1)) {
    const head = path.slice(0, dot);
    if (Object.hasOwn(record, head)) found = found.concat(valuesAt(record[head], path.slice(dot + 1)));
  }
  return found;
}

function compile(condition: FieldCondition): Test {
  if ('exists' in condition) return (doc) => valuesAt(doc, condition.exists).some((value) => value !== null);
  if ('equals' in condition) return some(condition.equals.field, (value) => same(value, condition.equals.value));
  if ('in' in condition) return some(condition.in.field, (value) => condition.in.values.some((wanted) => same(value, wanted)));
  if ('prefix' in condition) {
    return some(condition.prefix.field, (value) => typeof value === 'string' && value.startsWith(condition.prefix.value));
  }
  if ('range' in condition) {
    const { field, gt, gte, lt, lte } = condition.range;
    const holds = (value: unknown, bound: Scalar | undefined, accepts: (order: number) => boolean): boolean => {
      if (bound === undefined) return true;
      const order = compare(value, bound);
      return order !== undefined && accepts(order);
    };
    return some(
      field,
      (value) =>
        holds(value, gt, (o) => o > 0) &&
        holds(value, gte, (o) => o >= 0) &&
        holds(value, lt, (o) => o < 0) &&
        holds(value, lte, (o) => o <= 0),
    );
  }
  if ('and' in condition) return all(condition.and.map(compile));
  if ('or' in condition) {
    const tests = condition.or.map(compile);
    return (doc) => tests.some((test) => test(doc));
  }
  if ('not' in condition) {
    const test = compile(condition.not);
    return (doc) => !test(doc);
  }
  throw new GatewayError('FILTER_UNKNOWN', `a field filter cannot be ${JSON.stringify(condition)}`, {
    hint: 'use exists, equals, in, range, prefix, and, or, not',
  });
}

function some(field: string, test: (value: unknown) => boolean): Test {
  return (doc) => valuesAt(doc, field).some(test);
}

function all(tests: readonly Test[]): Test {
  return (doc) => tests.every((test) => test(doc));
}

function same(value: unknown, wanted: Scalar): boolean {
  return compare(value, wanted) === 0 || value === wanted;
}

function numeric(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

/** Order of two comparable values; undefined for values of different kinds. */
function compare(value: unknown, bound: Scalar): number | undefined {
  if (numeric(value) && numeric(bound)) return value < bound ? -1 : value > bound ? 1 : 0;
  if (typeof value === 'string' && typeof bound === 'string') return value < bound ? -1 : value > bound ? 1 : 0;
  return undefined;
}
