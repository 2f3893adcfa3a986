import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { hitsOf, scanSearchAnswer } from '../../src/elastic/spans.ts';

const goldens = new URL('../golden/elastic/', import.meta.url);

/** JSON values as texts, so that what a parser would lose is there: `1.0`, 2^60, repeated keys, escapes, white space of every kind. */
const blank = fc.constantFrom('', '', '', ' ', '\n', '\r\n  ', '\t');
const stringText = fc.oneof(
  fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify(text)),
  fc.string({ unit: 'binary', maxLength: 200 }).map((text) => JSON.stringify(text)),
  fc.constantFrom(
    '"\\\\"',
    '"\\""',
    '"\\u005c\\u0022"',
    '"}]{["',
    `"${'x'.repeat(100)}\\\\"`,
    `"${'\\\\'.repeat(60)}"`,
    `"${'a'.repeat(47)}\\"b"`,
  ),
);
const keyText = fc.oneof(stringText, fc.constantFrom('"_source"', '"hits"', '"_id"', '"_shards"', '"sort"', '"source"'));
const { value: valueText } = fc.letrec<{ value: string; object: string; array: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('1', '-0', '1.0', '1e3', '123456789012345678901234567890', '0.1e-7', 'true', 'false', 'null'),
    stringText,
    tie('object'),
    tie('array'),
  ),
  object: members(fc.array(fc.tuple(keyText, tie('value')), { maxLength: 5 })),
  array: fc
    .tuple(fc.array(tie('value'), { maxLength: 4 }), blank)
    .map(([items, space]) => `[${space}${items.join(`${space},`)}${space}]`),
}));
const objectText = members(fc.array(fc.tuple(keyText, valueText), { maxLength: 6 }));

function members(pairs: fc.Arbitrary<[string, string][]>): fc.Arbitrary<string> {
  return fc
    .tuple(pairs, blank, blank)
    .map(([list, a, b]) => `{${a}${list.map(([key, value]) => `${key}${a}:${b}${value}`).join(`${b},${a}`)}${b}}`);
}

const hitShape = fc.record({
  id: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
  escaped: fc.boolean(),
  routing: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
  version: fc.nat(),
  seqNo: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  source: fc.option(objectText, { nil: undefined, freq: 8 }),
  other: objectText,
  order: fc.integer(),
});
type HitShape = typeof hitShape extends fc.Arbitrary<infer T> ? T : never;

function printed(hit: HitShape, space: string): string {
  const string = (text: string) => (hit.escaped ? `"${unicodeEscapes(text)}"` : JSON.stringify(text));
  const pairs = [
    `"_index":${space}"some-index"`,
    `"_id":${space}${string(hit.id)}`,
    `"_version"${space}:${hit.version}`,
    `"_seq_no":${hit.seqNo}`,
    `"_primary_term":${space}3`,
    '"_score":null',
    `"highlight":${hit.other}`,
    `"sort":${space}[${hit.seqNo}${space}]`,
  ];
  if (hit.routing !== undefined) pairs.push(`"_routing":${space}${string(hit.routing)}`);
  if (hit.source !== undefined) pairs.push(`"_source":${space}${hit.source}`);
  const turn = Math.abs(hit.order) % pairs.length;
  return `{${space}${[...pairs.slice(turn), ...pairs.slice(0, turn)].join(`${space},${space}`)}${space}}`;
}

function unicodeEscapes(text: string): string {
  return Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
}

test('every document is the exact slice of the answer, on one line', () => {
  fc.assert(
    fc.property(fc.array(hitShape, { maxLength: 6 }), blank, objectText, (hits, space, other) => {
      const list = hits.map((hit) => printed(hit, space)).join(`${space},${space}`);
      const text = `${space}{"took":${space}7,"_clusters":${other},"timed_out":true${space},"hits":{"total":${other},"hits":[${space}${list}]},"_shards":{"total":2,"successful":1,"skipped":0,"failed":1,"failures":[{"reason":"x"}]}}${space}`;
      const answer = scanSearchAnswer(Buffer.from(text));
      assert.equal(answer.took, 7);
      assert.equal(answer.timedOut, true);
      assert.deepEqual(answer.shards, { total: 2, successful: 1, skipped: 0, failed: 1, failures: '[{"reason":"x"}]' });
      assert.equal(answer.hits.length, hits.length);
      const sliced = hitsOf(answer);
      for (const [i, hit] of hits.entries()) {
        const found = sliced[i]!;
        const { id, routing, version, seqNo } = found;
        // A text with half a surrogate pair has no bytes of its own.
        const wholeText = (text: string | undefined) => (hit.escaped ? text : text?.toWellFormed());
        assert.deepEqual(
          { id, routing, version, seqNo },
          {
            id: wholeText(hit.id),
            routing: wholeText(hit.routing),
            version: hit.version,
            seqNo: hit.seqNo,
          },
        );
        assert.equal(found.primaryTerm, 3);
        assert.equal(found.source?.toString(), hit.source?.replaceAll(/[\r\n]/g, ' '));
      }
    }),
    { numRuns: 500 },
  );
});

test('an answer cut off anywhere is refused', () => {
  const hit = '{"_id":"a\\"b","_version":1,"_seq_no":5,"_primary_term":1,"_source":{"a":[1,{"b":"\\\\"}]},"sort":[5]}';
  const whole = Buffer.from(
    `{"took":1,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"hits":[${hit}]}}`,
  );
  assert.equal(hitsOf(scanSearchAnswer(whole))[0]?.source?.toString(), '{"a":[1,{"b":"\\\\"}]}');
  for (let length = 0; length < whole.length; length++) {
    assert.throws(
      () => scanSearchAnswer(Buffer.from(whole.subarray(0, length))),
      { code: 'ES_ANSWER_INVALID' },
      `cut at ${length}`,
    );
  }
  assert.throws(() => scanSearchAnswer(Buffer.concat([whole, Buffer.from('}')])), { code: 'ES_ANSWER_INVALID', transient: true });
  for (const text of [
    '<html></html>',
    '[]',
    '{}',
    '{"hits":{"hits":[]}}',
    '{"_shards":{}}',
    '{"_shards":{},"hits":{"hits":[1]}}',
    '{"took" 1}',
  ]) {
    assert.throws(() => scanSearchAnswer(Buffer.from(text)), { code: 'ES_ANSWER_INVALID' }, text);
  }
});

test('numbers that a double does not hold are refused, not rounded', () => {
  assert.equal(hitsOf(scanSearchAnswer(answerWithSeqNo('9007199254740991')))[0]?.seqNo, Number.MAX_SAFE_INTEGER);
  for (const text of ['9007199254740993', '1.5', '1e3', '-', '"1"']) {
    assert.throws(() => scanSearchAnswer(answerWithSeqNo(text)), { code: 'ES_ANSWER_INVALID' }, text);
  }
});

function answerWithSeqNo(seqNo: string): Buffer {
  return Buffer.from(`{"_shards":{"total":1},"hits":{"hits":[{"_id":"a","_seq_no":${seqNo},"_source":{}}]}}`);
}

test('a shards part without numbers counts as failed', () => {
  const { shards } = scanSearchAnswer(Buffer.from('{"_shards":{},"hits":{"hits":[]}}'));
  assert.equal(shards.failed, 1);
});

for (const file of readdirSync(goldens).filter((name) => name.startsWith('search-'))) {
  test(`${file}: the answer of a real server`, () => {
    const body = readFileSync(new URL(file, goldens));
    const parsed = JSON.parse(body.toString()) as { hits: { hits: Record<string, unknown>[] } };
    const answer = scanSearchAnswer(body);
    const hits = hitsOf(answer);
    assert.ok(hits.length > 5);
    assert.deepEqual(
      hits.map((hit) => [
        hit.id,
        hit.routing,
        hit.version,
        hit.seqNo,
        hit.primaryTerm,
        JSON.parse(String(hit.source)) as unknown,
      ]),
      parsed.hits.hits.map((hit) => [
        hit['_id'],
        hit['_routing'],
        hit['_version'],
        hit['_seq_no'],
        hit['_primary_term'],
        hit['_source'],
      ]),
    );
    assert.ok(hits.some((hit) => hit.source?.includes('12345678901234567890') && hit.source.includes(': 1.0')));
  });
}
