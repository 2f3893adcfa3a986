import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { ChangeEvent } from '../../src/core/event.ts';
import { encodeEnvelope } from '../../src/core/envelope.ts';
import { openFrame, packFrames } from '../../src/core/frame.ts';
import type { Message } from '../../src/core/strategy.ts';
import { encodeSubject } from '../../src/core/subject.ts';
import { Rewriter } from '../../src/nats-gateway/rewriter.ts';
import type { Rules } from '../../src/nats-gateway/rules.ts';
import { anySource, legible } from '../support/arbitrary-events.ts';
import { outcome, type RuleKeys, rulesOf, settingsOf } from '../support/gateway-rules.ts';
import { change } from '../support/gateway-stage.ts';

const doc = (text: string, more: Partial<ChangeEvent> = {}): ChangeEvent =>
  change('a', 1, { source: Buffer.from(text), ...more });

type Row = [what: string, where: object, given: string, passes: boolean];
const big = '9007199254740993';

const conditions: Row[] = [
  ['exists', { exists: 'a.b' }, '{"a":[{"c":1},{"b":0}]}', true],
  ['exists: null is not', { exists: 'a' }, '{"a":null}', false],
  ['exists: dotted', { exists: 'a.b' }, '{"a.b":false}', true],
  ['equals: a number', { equals: { field: 'a', value: 5 } }, '{"a":5.0}', true],
  ['equals: a text that looks like it', { equals: { field: 'a', value: 5 } }, '{"a":"5"}', true],
  ['equals: beyond 2^53', { equals: { field: 'a', value: big } }, `{"a":${big}}`, true],
  ['equals: beyond 2^53, the neighbour', { equals: { field: 'a', value: '9007199254740992' } }, `{"a":${big}}`, false],
  ['equals: true', { equals: { field: 'a', value: true } }, '{"a":[false,true]}', true],
  ['equals: unicode', { equals: { field: 'größe', value: '🙂' } }, '{"gr\\u00f6\\u00dfe":"\\ud83d\\ude42"}', true],
  ['equals: missing', { equals: { field: 'a', value: 'x' } }, '{}', false],
  ['in', { in: { field: 'a', values: ['x', 7] } }, '{"a":7}', true],
  ['range: numbers', { range: { field: 'a', gte: 1, lt: 3 } }, '{"a":2.9}', true],
  ['range: numbers, not by their text', { range: { field: 'a', gt: 10 } }, '{"a":9}', false],
  ['range: beyond 2^53', { range: { field: 'a', gt: '9007199254740992' } }, `{"a":${big}}`, true],
  ['range: texts', { range: { field: 'a', gte: '2026-01-01' } }, '{"a":"2026-02-01T00:00:00Z"}', true],
  ['prefix', { prefix: { field: 'a.b', value: 'eu-' } }, '{"a":[{"b":"us-1"},{"b":"eu-1"}]}', true],
  ['and', { and: [{ exists: 'a' }, { exists: 'b' }] }, '{"a":1}', false],
  ['or', { or: [{ exists: 'a' }, { exists: 'b' }] }, '{"a":1}', true],
  ['not', { not: { exists: 'a' } }, '{"a":1}', false],
];

describe('field filters', () => {
  for (const [what, where, given, passes] of conditions) {
    it(what, () => {
      const [out] = outcome(rulesOf({ 'field-filters': [{ where }] }), doc(given));
      assert.equal(out, passes ? `main es.t.a.index ${given}` : 'main es.t.a.delete');
    });
  }
  it('can be without deletes, and hold for some indices', () => {
    const rules = rulesOf({ 'field-filters': [{ indices: ['a*', '-ab'], where: { exists: 'x' } }], 'filter-deletes': 'false' });
    assert.deepEqual(outcome(rules, doc('{}')), []);
    assert.deepEqual(outcome(rules, doc('{}', { index: 'ab' })), ['main es.t.ab.index {}']);
  });
  it('let deletes pass', () => {
    assert.deepEqual(outcome(rulesOf({ 'field-filters': [{ where: { exists: 'x' } }] }), change('a', 1, { op: 'delete' })), [
      'main es.t.a.delete',
    ]);
  });
});

describe('filters by subject', () => {
  const rows: [keys: RuleKeys, event: ChangeEvent, out: string][] = [
    [{ 'include-indices': 'a,b?' }, doc('{}', { index: 'bb' }), 'main es.t.bb.index {}'],
    [{ 'include-indices': 'a,b?' }, doc('{}', { index: 'b' }), 'filtered by include-indices'],
    [{ 'exclude-patterns': 'a*' }, doc('{}'), 'filtered by exclude-patterns'],
    [{ 'include-operations': 'delete' }, doc('{}'), 'filtered by include-operations'],
    [{ 'include-tenants': 't,u*' }, doc('{}', { tenant: 'v' }), 'filtered by include-tenants'],
    [{ 'include-subjects': 'es.*.a.index' }, doc('{}', { op: 'update' }), 'filtered by include-subjects'],
    [{ 'include-subjects': 'es.t.>' }, doc('{}', { op: 'update' }), 'main es.t.a.update {}'],
  ];
  for (const [keys, event, out] of rows) it(JSON.stringify(keys), () => assert.deepEqual(outcome(rulesOf(keys), event), [out]));
  it('let the end of an index pass where deletes pass', () => {
    assert.equal(rulesOf({ 'include-operations': 'index' }).plan('es.t.a.drop').filteredBy, 'include-operations');
    assert.equal(rulesOf({ 'include-operations': 'delete' }).plan('es.t.a.drop').filteredBy, undefined);
  });
});

describe('routes', () => {
  const to = { prefix: 'eu' };
  it('take a share, or a copy of it', () => {
    const rules = rulesOf({
      routes: [
        { name: 'one', 'include-indices': 'a', to },
        { name: 'two', copy: true, to },
      ],
    });
    assert.deepEqual(outcome(rules, doc('{}')), ['one es.t.a.index {}']);
    assert.deepEqual(outcome(rules, doc('{}', { index: 'b' })), ['two es.t.b.index {}', 'main es.t.b.index {}']);
  });
  it('by field: whoever does not get the document hears of its delete', () => {
    const rules = rulesOf({
      routes: [{ name: 'eu', where: { equals: { field: 'r', value: 'eu' } }, transforms: [{ drop: 'r' }], to }],
    });
    assert.deepEqual(outcome(rules, doc('{"r":"eu","n":1.0}')), ['eu es.t.a.index {"n":1.0}', 'main es.t.a.delete']);
    assert.deepEqual(outcome(rules, doc('{"r":"us"}')), ['eu es.t.a.delete', 'main es.t.a.index {"r":"us"}']);
    assert.deepEqual(outcome(rules, change('a', 1, { op: 'delete' })), ['eu es.t.a.delete', 'main es.t.a.delete']);
  });
});

describe('wrong rules', () => {
  const rows: [keys: RuleKeys, message: RegExp][] = [
    [{ transforms: [{ drop: 'a..b' }] }, /transforms takes transforms as a list; at 0: takes one of/],
    [{ transforms: [{ mask: { field: 'a', with: 'hash' } }] }, /--mask-key/],
    [{ transforms: [{ 'rename-index': { from: 'a', to: '$1' } }] }, /transforms/],
    [{ 'field-filters': [{ where: { like: 'x' } }] }, /takes one of exists, equals/],
    [{ routes: [{ name: 'a', to: {} }] }, /one or more of url, stream and prefix/],
    [{ routes: [{ name: 'main', to: { prefix: 'x' } }] }, /the name main/],
    [{ transforms: 'drop a' }, /in YAML in the file and in JSON elsewhere/],
  ];
  for (const [keys, message] of rows)
    it(JSON.stringify(keys), () => assert.throws(() => settingsOf(keys), { code: 'SETTING_WRONG', message }));
});

const outlet = {
  maxPayload: 1_048_576,
  subjectOf: (of: Parameters<typeof encodeSubject>[0]) => encodeSubject(of),
  subjectFor: (subject: string) => subject,
  documents: () => Promise.reject(new Error('none')),
};

async function through(rules: Rules, events: readonly ChangeEvent[]): Promise<string[]> {
  const rewriter = new Rewriter({
    rules: () => rules,
    outlet: () => outlet,
    documents: { get: () => Promise.reject(new Error('none')) },
    stream: 'S',
  });
  const [frame] = packFrames(events, { documentsMax: Infinity, bytesMax: Infinity, compressFromBytes: 0, compressLevel: 1 });
  const { tenant, index, op } = events[0]!;
  const message: Message = {
    subject: encodeSubject({ tenant, index, operation: op }),
    headers: new Map([['Nats-Msg-Id', 'id']]),
    payload: frame!.payload,
    sequence: 1,
    timestamp: 0,
    deliveries: 1,
  };
  const out: string[] = [];
  for (const item of await rewriter.open(message)) {
    if (item.is === 'refused') out.push(`refused ${item.event.id} ${item.refusal.type}`);
    else
      for (const { output, message: sent } of item.outgoing) {
        const opened = await openFrame({ ...message, headers: sent.headers ?? new Map(), payload: sent.payload });
        out.push(...opened.map((event) => `${output} ${sent.subject} ${JSON.stringify(legible(event))}`));
      }
  }
  return out.sort();
}

describe('a frame', () => {
  const rules = rulesOf({
    'field-filters': [{ where: { not: { exists: 'version' } } }],
    transforms: [
      { rename: { field: 'a', to: 'b' } },
      { mask: { field: 'id', with: 'fixed' } },
      { 'rename-index': { from: '*', to: 'x-$1' } },
    ],
    routes: [{ name: 'r', where: { exists: 'source' }, transforms: [{ drop: 'source' }], to: { prefix: 'r' } }],
  });
  it('filtered and transformed is the same as its documents one by one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anySource, { minLength: 1, maxLength: 8 }), async (sources) => {
        const events = sources.map((source, n) => change('a', n, { source }));
        const alone = await Promise.all(events.map((event) => through(rules, [event])));
        assert.deepEqual(await through(rules, events), alone.flat().sort());
      }),
    );
  });
  it('keeps the bytes of what no rule touches', async () => {
    const open = rulesOf({ 'field-filters': [{ where: { or: [{ exists: 'a' }, { not: { exists: 'a' } }] } }] });
    await fc.assert(
      fc.asyncProperty(anySource, async (source) => {
        const event = change('a', 1, { source });
        assert.deepEqual(await through(open, [event]), [`main es.t.a.index ${JSON.stringify(legible(event))}`]);
        assert.ok(encodeEnvelope(event).includes(source));
      }),
    );
  });
});
