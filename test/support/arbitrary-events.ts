import * as fc from 'fast-check';
import type { ChangeEvent } from '../../src/core/event.ts';

/** Any text without lone surrogates: control characters, quotes, every plane. */
export const anyText = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });

/** Document ids as a cluster takes them: any text of up to 512 bytes. */
const anyId = fc
  .oneof(
    anyText,
    fc.string({ unit: 'binary', minLength: 1, maxLength: 512 }),
    fc.constantFrom('/', '%2F', '.', '*', '"\\"', '🙂', ' '),
  )
  .filter((id) => Buffer.byteLength(id) <= 512);

/** White space that may stand between the tokens of a document on one line. */
const blank = fc.constantFrom('', ' ', '\t', '  ', '\r');

/** The text of a JSON value that no program would print like that: odd numbers, escapes, white space, repeated keys. */
const jsonText = fc.letrec<{ value: string; object: string }>((tie) => ({
  object: fc
    .array(
      fc
        .tuple(fc.oneof(anyText, fc.constantFrom('source', 'id', 'version', 'v', 'a.b', '')), blank, tie('value'), blank)
        .map(([key, before, value, after]) => `${before}${JSON.stringify(key)}${after}:${before}${value}${after}`),
      { maxLength: 5 },
    )
    .map((members) => `{${members.join(',')}}`),
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(
      '1.0',
      '1e3',
      '-0',
      '9007199254740993',
      '123456789012345678901234567890',
      '0.1000',
      'true',
      'false',
      'null',
      '""',
    ),
    fc.constantFrom('"\\u0041\\/"', '"}"', '"\\"]"', '"\\\\"', '"{\\"source\\":{"', '[]', '{}'),
    anyText.map((text) => JSON.stringify(text)),
    fc.array(tie('value'), { maxLength: 4 }).map((values) => `[${values.join(',')}]`),
    tie('object'),
  ),
})).object;

/** A document's bytes on one line. */
export const anySource = jsonText.map((text) => Buffer.from(text));

const extra = fc.constantFrom('"new":{"a":[1,2.50]}', '"x":"\\u0000"', '"y":null,"z":9007199254740993');
const counter = fc.nat({ max: 2 ** 40 });

const common = {
  tenant: anyText,
  index: anyText,
  id: anyId,
  version: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  seqNo: counter,
  primaryTerm: fc.nat(),
  ts: counter,
};
const optional = { routing: anyText, extra };

const written = fc
  .tuple(
    fc.record({ ...common, op: fc.constantFrom('index' as const, 'update' as const) }, { noNullPrototype: true }),
    fc.record(optional, { requiredKeys: [], noNullPrototype: true }),
    fc.oneof(
      { weight: 4, arbitrary: anySource.map((source) => ({ source })) },
      {
        weight: 1,
        arbitrary: fc.record({
          sourceRef: fc.record({ bucket: anyText, name: anyText, bytes: fc.nat() }, { noNullPrototype: true }),
        }),
      },
    ),
  )
  .map(([head, more, document]): ChangeEvent => ({ ...head, ...more, ...document }));

const deleted = fc
  .tuple(
    fc.record({ ...common, op: fc.constant('delete' as const) }),
    fc.record(optional, { requiredKeys: [], noNullPrototype: true }),
  )
  .map(([head, more]): ChangeEvent => ({ ...head, ...more }));

/** Any event that the product can publish. */
export const anyEvent: fc.Arbitrary<ChangeEvent> = fc.oneof({ weight: 3, arbitrary: written }, { weight: 1, arbitrary: deleted });

/** An event with its bytes as text: for comparisons and messages. */
export function legible(event: ChangeEvent): object {
  return { ...event, ...(event.source === undefined ? {} : { source: Buffer.from(event.source).toString() }) };
}
