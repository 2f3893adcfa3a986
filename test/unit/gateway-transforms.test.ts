import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { dropField, keepFields, maskField, renameField, setField } from '../../src/core/field-edit.ts';
import { JsonValue } from '../../src/core/json-edit.ts';
import { anySource } from '../support/arbitrary-events.ts';
import { transformed } from '../support/gateway-rules.ts';

/** HMAC-SHA-256 of the text 5, its first 128 bits. */
const hash = createHmac('sha256', 'key of the mask').update('5').digest('hex').slice(0, 32);

type Row = [what: string, transform: object, given: string, expected: string];

const rows: Row[] = [
  ['drop: a field', { drop: 'a' }, '{"a":1,"b":9007199254740993}', '{"b":9007199254740993}'],
  ['drop: nested', { drop: 'a.b' }, '{"a":{"b":1,"c":1.0}}', '{"a":{"c":1.0}}'],
  ['drop: a dotted key', { drop: 'a.b' }, '{"a.b":1,"a":{"b":2},"c":3}', '{"a":{},"c":3}'],
  ['drop: what lies below it in a dotted key', { drop: 'a' }, '{"a.b":1,"ab":2}', '{"ab":2}'],
  ['drop: half nested, half dotted', { drop: 'a.b.c' }, '{"a.b":{"c":1,"d":2},"a":{"b.c":3}}', '{"a.b":{"d":2},"a":{}}'],
  ['drop: in arrays of objects', { drop: 'a.b' }, '{"a":[{"b":1,"c":2},[{"b":3}],7]}', '{"a":[{"c":2},[{}],7]}'],
  ['drop: a missing field leaves every byte', { drop: 'x.y' }, '{ "a" : 1e3 , "x":null }', '{ "a" : 1e3 , "x":null }'],
  ['drop: a key written with escapes', { drop: 'ab' }, '{"\\u0061b":1,"c":2}', '{"c":2}'],
  ['drop: a key that is there twice', { drop: 'a' }, '{"a":1,"a":2}', '{}'],
  ['drop: unicode', { drop: 'größe.🙂' }, '{"größe":{"🙂":1,"x":"é"}}', '{"größe":{"x":"é"}}'],
  [
    'keep: fields and the way to them',
    { keep: ['a.b', 'd'] },
    '{"a":{"b":1.0,"c":2},"d":{"e":3},"f":4}',
    '{"a":{"b":1.0},"d":{"e":3}}',
  ],
  [
    'keep: in arrays, without values that cannot hold it',
    { keep: ['a.b'] },
    '{"a":[{"b":1,"c":2},7,{"c":3}]}',
    '{"a":[{"b":1},{}]}',
  ],
  ['keep: a value in the way is left out', { keep: ['a.b'] }, '{"a":5}', '{}'],
  ['keep: dotted keys', { keep: ['a'] }, '{"a.b":1,"a":2,"ab":3}', '{"a.b":1,"a":2}'],
  [
    'rename: nested',
    { rename: { field: 'a.b', to: 'c' } },
    '{"a":{"b":12345678901234567890}}',
    '{"a":{"c":12345678901234567890}}',
  ],
  ['rename: in an array', { rename: { field: 'a.b', to: 'c' } }, '{"a":[{"b":1},{"x":2}]}', '{"a":[{"c":1},{"x":2}]}'],
  ['rename: dotted', { rename: { field: 'a.b', to: 'c' } }, '{"a.b":1,"a.b.d":2}', '{"a.c":1,"a.c.d":2}'],
  ['rename: both are there', { rename: { field: 'a', to: 'b' } }, '{"a":1,"b":2}', 'TRANSFORM_IMPOSSIBLE'],
  ['rename: missing', { rename: { field: 'a', to: 'b' } }, '{"b":2}', '{"b":2}'],
  ['mask: fixed', { mask: { field: 'a', with: 'fixed' } }, '{"a":"x","b":"y"}', '{"a":"***","b":"y"}'],
  [
    'mask: everything below',
    { mask: { field: 'a', with: 'fixed', text: '' } },
    '{"a":[1,{"b":true,"c":null}],"a.d":"x"}',
    '{"a":["",{"b":"","c":null}],"a.d":""}',
  ],
  ['mask: partial', { mask: { field: 'a', with: 'partial' } }, '{"a":"1234 5678 9012"}', '{"a":"**********9012"}'],
  [
    'mask: partial at the start',
    { mask: { field: 'a', with: 'partial', keep: 2, side: 'start' } },
    '{"a":"a🙂b"}',
    '{"a":"a🙂*"}',
  ],
  ['mask: partial of a short text', { mask: { field: 'a', with: 'partial' } }, '{"a":"1234"}', '{"a":"****"}'],
  [
    'mask: partial of a number',
    { mask: { field: 'a', with: 'partial', keep: 3 } },
    '{"a":9007199254740993}',
    '{"a":"*************993"}',
  ],
  ['mask: hash', { mask: { field: 'a,b', with: 'hash' } }, '{"a":"5","b":5}', `{"a":"${hash}","b":"${hash}"}`],
  ['set: new', { set: { field: 'a.b', value: 'x' } }, '{"c":1}', '{"c":1,"a":{"b":"x"}}'],
  ['set: JSON', { set: { field: 'a', json: '{"b":\n9007199254740993}' } }, '{}', '{"a":{"b": 9007199254740993}}'],
  ['set: over a dotted key', { set: { field: 'a.b', value: 'x' } }, '{"a.b":1,"c":2.50}', '{"a.b":"x","c":2.50}'],
  [
    'set: in every object of an array',
    { set: { field: 'a.b', value: 'x' } },
    '{"a":[{"b":1},{"c":1.0}]}',
    '{"a":[{"b":"x"},{"c":1.0,"b":"x"}]}',
  ],
  ['set: null on the way counts as missing', { set: { field: 'a.b', value: 'x' } }, '{"a":null}', '{"a":{"b":"x"}}'],
  ['set: a value in the way', { set: { field: 'a.b', value: 'x' } }, '{"a":5}', 'TRANSFORM_IMPOSSIBLE'],
  ['only for other indices', { indices: ['b*'], drop: 'a' }, '{"a":1}', '{"a":1}'],
  ['rename-index with captures', { 'rename-index': { from: '*', to: 'eu-$1' } }, '{"a":1.0}', 'es.t.eu-a.index {"a":1.0}'],
  [
    'rename-index with a date',
    { 'rename-index': { from: 'a', to: 'a-', date: { field: '@timestamp', format: 'yyyy.MM.dd' } } },
    '{"@timestamp":"2026-01-31T23:30:00-02:00"}',
    'es.t.a-2026%2E02%2E01.index {"@timestamp":"2026-01-31T23:30:00-02:00"}',
  ],
  [
    'rename-index with a time without zone',
    { 'rename-index': { from: 'a', to: 'a-', date: { field: 't', format: 'yyyy-MM-dd-HH' } } },
    '{"t":"2026-01-31T23:30:00"}',
    'es.t.a-2026-01-31-23.index {"t":"2026-01-31T23:30:00"}',
  ],
  [
    'rename-index without the date',
    { 'rename-index': { from: 'a', to: 'a-', date: { field: 't', format: 'yyyy' } } },
    '{"t":"soon"}',
    'TRANSFORM_IMPOSSIBLE',
  ],
  ['set-tenant', { 'set-tenant': 'eu' }, '{}', 'es.eu.a.index {}'],
];

describe('transforms', () => {
  for (const [what, transform, given, expected] of rows) {
    it(what, () => assert.equal(transformed([transform], given), expected));
  }
});

const paths = fc.constantFrom('source', 'id', 'a.b', 'source.id', 'a', 'x.y', 'version');
const edits = fc.oneof(
  paths.map(dropField),
  fc.array(paths, { minLength: 1 }).map(keepFields),
  fc.tuple(paths, fc.constantFrom('id', 'new')).map(([path, to]) => renameField(path, to)),
  paths.map((path) => maskField(path, (text) => JSON.stringify(`${text.length}`))),
  fc.tuple(paths, fc.constantFrom('1', '"x"', '{"a.b":[1.0]}')).map(([path, json]) => setField(path, json)),
);

/** As they are written, outside of strings. */
function numbers(json: string): string[] {
  return json.replace(/"(?:[^"\\]|\\.)*"/g, '').match(/-?\d[\d.eE+-]*/g) ?? [];
}

describe('an edited document', () => {
  it('is the same text where nothing was edited, wherever it was looked into', () => {
    const look = (value: JsonValue): void => {
      for (const member of value.members) look(member.value);
      for (const element of value.elements) look(element);
    };
    fc.assert(
      fc.property(anySource, (source) => {
        const value = JsonValue.parse(source);
        look(value);
        assert.equal(Buffer.from(value.print()).toString(), source.toString().trim());
      }),
    );
  });

  it('stays JSON on one line, whose numbers and texts are those of the document or of the edit', () => {
    fc.assert(
      fc.property(anySource, fc.array(edits, { minLength: 1, maxLength: 3 }), (source, some) => {
        const value = JsonValue.parse(source);
        try {
          for (const edit of some) edit(value);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'TRANSFORM_IMPOSSIBLE');
          return;
        }
        const text = Buffer.from(value.print()).toString();
        JSON.parse(text);
        assert.equal(text.includes('\n'), false);
        const known = new Set([...numbers(source.toString()), '1', '1.0']);
        for (const number of numbers(text)) assert.ok(known.has(number), `${number} in ${text}`);
      }),
    );
  });
});
