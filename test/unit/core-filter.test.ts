import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ChangeEvent } from '../../src/core/event.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { type FieldCondition, fieldTest, parseExact, valuesAt } from '../../src/core/field.ts';
import {
  compileIndexPatterns,
  compilePattern,
  fieldFilter,
  filterChain,
  indexFilter,
  operationFilter,
  subjectFilter,
} from '../../src/core/filter.ts';
import { anySource, anyText } from '../support/arbitrary-events.ts';

function change(more: Partial<ChangeEvent> = {}): ChangeEvent {
  return {
    tenant: 'acme',
    index: 'products',
    id: '1',
    op: 'index',
    version: 1,
    seqNo: 0,
    primaryTerm: 1,
    ts: 0,
    source: Buffer.from('{"price":5}'),
    ...more,
  };
}

test('a pattern without signs is the name itself, and * fits any name', () => {
  fc.assert(
    fc.property(anyText, anyText, (name, other) => {
      assert.ok(compilePattern('*')(name));
      fc.pre(!/[*?]/.test(name));
      assert.ok(compilePattern(name)(name));
      assert.equal(compilePattern(name)(other), name === other);
      assert.ok(compilePattern(`${name}*`)(`${name}${other}`));
      assert.ok(compilePattern(`*${name}`)(`${other}${name}`));
      assert.ok(compilePattern(`${name}?`)(`${name}🙂`));
      assert.ok(!compilePattern(`${name}?`)(name));
    }),
  );
});

test('patterns fit as people expect', () => {
  const cases: [string, string, boolean][] = [
    ['logs-*', 'logs-2024', true],
    ['logs-*', 'logs', false],
    ['logs-*-eu', 'logs-app-eu', true],
    ['logs-*-eu', 'logs-app-us', false],
    ['a.c*', 'abcd', false],
    ['.ds-*', '.ds-logs', true],
    ['(a|b)*', 'a', false],
    ['*', '', true],
  ];
  for (const [pattern, name, fits] of cases) assert.equal(compilePattern(pattern)(name), fits, `${pattern} ${name}`);
});

test('exclusions win, and alone they mean everything else', () => {
  const both = compileIndexPatterns(['logs-*', '-logs-debug*']);
  assert.deepEqual(['logs-app', 'logs-debug-1', 'orders'].map(both), [true, false, false]);
  const rest = compileIndexPatterns(['-logs-*']);
  assert.deepEqual(['logs-app', 'orders'].map(rest), [false, true]);
  assert.equal(compileIndexPatterns([])('orders'), false);
});

test('filters by index, operation and subject', () => {
  assert.ok(indexFilter(['prod*']).passes(change()));
  assert.ok(!indexFilter(['-prod*']).passes(change()));
  assert.ok(operationFilter(['index', 'update']).passes(change()));
  assert.ok(!operationFilter(['delete']).passes(change()));
  const subjects = subjectFilter(['es.acme.*.delete', 'es.acme.a%2Eb.>']);
  assert.deepEqual(
    [change(), change({ op: 'delete' }), change({ index: 'a.b' }), change({ index: 'a.b' })].map((e) => subjects.passes(e)),
    [false, true, true, true],
  );
});

test('a chain asks the cheap ones first and passes what all pass', () => {
  const chain = filterChain([fieldFilter({ exists: 'price' }), operationFilter(['index'])]);
  assert.equal(chain.needs, 'event');
  assert.equal(chain.name, 'operation in index and fields {"exists":"price"}');
  assert.ok(chain.passes(change()));
  assert.ok(!chain.passes(change({ op: 'update', source: Buffer.from('not JSON at all') })));
  assert.ok(!chain.passes(change({ source: Buffer.from('{}') })));
  const { source: _, ...head } = change();
  const gone: ChangeEvent = { ...head, op: 'delete' };
  assert.ok(fieldFilter({ exists: 'price' }).passes(gone), 'a delete has no fields and passes');
  assert.equal(filterChain([]).needs, 'subject');
  assert.ok(filterChain([]).passes(gone));
});

test('conditions on tricky documents', () => {
  const cases: [FieldCondition, string, boolean][] = [
    [{ exists: 'a.b' }, '{"a":{"b":1}}', true],
    [{ exists: 'a.b' }, '{"a.b":1}', true],
    [{ exists: 'a.b.c' }, '{"a":{"b.c":1}}', true],
    [{ exists: 'a.b.c' }, '{"a.b":[{"c":0}]}', true],
    [{ exists: 'a.b' }, '{"a":{"b":null}}', false],
    [{ exists: 'a.b' }, '{"a":{"b":[]}}', false],
    [{ exists: 'a.b' }, '{"a":{"b":[null]}}', false],
    [{ exists: 'a.b' }, '{"a":5}', false],
    [{ exists: 'a' }, '{}', false],
    [{ exists: 'constructor' }, '{}', false],
    [{ exists: '__proto__.a' }, '{"__proto__":{"a":1}}', true],
    [{ equals: { field: 'tags', value: 'red' } }, '{"tags":["blue","red"]}', true],
    [{ equals: { field: 'items.sku', value: 'x' } }, '{"items":[{"sku":"y"},{"sku":["z","x"]}]}', true],
    [{ equals: { field: 'n', value: 3 } }, '{"n":[[1,2],[3]]}', true],
    [{ equals: { field: 'n', value: 1 } }, '{"n":1.0}', true],
    [{ equals: { field: 'n', value: 1 } }, '{"n":"1"}', false],
    [{ equals: { field: 'n', value: null } }, '{"n":null}', true],
    [{ equals: { field: 'n', value: null } }, '{}', false],
    [{ equals: { field: 'n', value: true } }, '{"n":true}', true],
    [{ equals: { field: 'n', value: 9007199254740993n } }, '{"n":9007199254740993}', true],
    [{ equals: { field: 'n', value: 9007199254740993n } }, '{"n":9007199254740992}', false],
    [{ in: { field: 'n', values: ['a', 2n] } }, '{"n":2}', true],
    [{ in: { field: 'n', values: [] } }, '{"n":2}', false],
    [{ range: { field: 'n', gte: 10, lt: 20 } }, '{"n":[5,25]}', false],
    [{ range: { field: 'n', gte: 10, lt: 20 } }, '{"n":[5,15]}', true],
    [{ range: { field: 'n', gt: 9007199254740992n } }, '{"n":9007199254740993}', true],
    [{ range: { field: 'n', gt: 1 } }, '{"n":1e3}', true],
    [{ range: { field: 'at', gte: '2024-01-01', lte: '2024-12-31' } }, '{"at":"2024-05-05"}', true],
    [{ range: { field: 'at', gte: 5 } }, '{"at":"2024-05-05"}', false],
    [{ range: { field: 'n' } }, '{"n":1}', true],
    [{ prefix: { field: 'name', value: 'Wi' } }, '{"name":"Widget"}', true],
    [{ prefix: { field: 'name', value: '1' } }, '{"name":12}', false],
    [{ and: [{ exists: 'a' }, { exists: 'b' }] }, '{"a":1}', false],
    [{ or: [{ exists: 'a' }, { exists: 'b' }] }, '{"a":1}', true],
    [{ not: { exists: 'a' } }, '{"b":1}', true],
  ];
  for (const [condition, source, holds] of cases) {
    assert.equal(fieldTest(condition)(Buffer.from(source)), holds, `${Object.keys(condition).join()} on ${source}`);
  }
});

test('a field is found without reading the rest of the document, as it is with all of it read', () => {
  const path = fc
    .array(fc.constantFrom('source', 'id', 'version', 'v', 'a', 'b', 'a.b', '__proto__'), { minLength: 1, maxLength: 3 })
    .map((tokens) => tokens.join('.'));
  fc.assert(
    fc.property(anySource, path, (source, field) => {
      const there = valuesAt(parseExact(source.toString()), field).some((value) => value !== null);
      assert.equal(fieldTest({ exists: field })(source), there);
      assert.equal(fieldTest({ not: { or: [{ exists: 'x' }, { and: [{ exists: field }] }] } })(source), !there);
    }),
  );
});

test('an array of many values is looked through', () => {
  const source = Buffer.from(JSON.stringify({ a: Array.from({ length: 300_000 }, (_, b) => ({ b })) }));
  assert.ok(fieldTest({ equals: { field: 'a.b', value: 299_999 } })(source));
});

test('a condition of an unknown kind is refused by name', () => {
  assert.throws(
    () => fieldTest({ matches: 'a' } as unknown as FieldCondition),
    (error) => error instanceof GatewayError && error.code === 'FILTER_UNKNOWN' && error.message.includes('matches'),
  );
});
