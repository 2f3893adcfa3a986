import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  blockFolder,
  blockKey,
  decodeHeaders,
  encodeHeaders,
  formatTime,
  parseBlockKey,
  parseTime,
} from '../../src/archive/index.ts';
import { mayMatch, summariseSubjects } from '../../src/archive/subjects.ts';
import { covers, subjectMatches } from '../../src/core/subject.ts';

const name = {
  prefix: '',
  stream: 'ORDERS',
  job: 'job-1',
  firstSequence: 1,
  lastSequence: 100,
  format: 'n3b',
  compression: 'zstd',
} as const;
const firstTimestamp = Date.UTC(2025, 0, 2, 3, 59, 59, 999);

describe('keys of blocks', () => {
  test('are prefix, stream, job, hour and sequences', () => {
    assert.equal(blockKey({ ...name, firstTimestamp }), 'ORDERS/job-1/2025/01/02/03/00000000000000000001-100.n3b');
    for (const prefix of ['a/b', '/a/b', 'a/b/', '/a//b/']) {
      assert.equal(blockKey({ ...name, prefix, firstTimestamp }), 'a/b/ORDERS/job-1/2025/01/02/03/00000000000000000001-100.n3b');
    }
    assert.equal(
      blockKey({ ...name, format: 'ndjson', variant: '0123456789abcdef', firstTimestamp }),
      'ORDERS/job-1/2025/01/02/03/00000000000000000001-100.0123456789abcdef.ndjson.zst',
    );
  });

  test('tell again what they are made of, whatever the names', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
    const sequence = fc.nat({ max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(
        fc.record({
          prefix: fc.constantFrom('', 'backup', 'a/b', '2025/01'),
          stream: text,
          job: text,
          firstSequence: sequence,
          lastSequence: sequence,
          format: fc.constantFrom('n3b' as const, 'ndjson' as const),
          variant: fc.constantFrom(undefined, '0123456789abcdef'),
        }),
        fc.constantFrom('zstd' as const, 'gzip' as const, 'none' as const),
        (drawn, compression) => {
          const key = blockKey({ ...drawn, compression, firstTimestamp });
          const parsed = parseBlockKey(key);
          const expected = { ...drawn, compression: drawn.format === 'n3b' ? undefined : compression };
          assert.deepEqual({ ...parsed }, expected);
          assert.ok(key.startsWith(blockFolder(drawn.prefix, drawn.stream, drawn.job)));
        },
      ),
    );
  });

  test('sort by sequence within an hour', () => {
    const keys = [9, 10, 99, 100, 10 ** 15].map((firstSequence) => blockKey({ ...name, firstSequence, firstTimestamp }));
    assert.deepEqual(keys.toSorted(), keys);
  });

  test('are told from what is no block', () => {
    for (const key of [
      '',
      'ORDERS',
      'a/b/c.n3b',
      'ORDERS/job/2025/01/02/03/1-100.n3b',
      'ORDERS/job/2025/01/02/03/00000000000000000001-100.zip',
      '%/job/2025/01/02/03/00000000000000000001-100.n3b',
    ])
      assert.equal(parseBlockKey(key), undefined, key);
  });
});

describe('summaries of subjects', () => {
  const subject = fc
    .array(fc.constantFrom('a', 'b', 'c', 'd1', 'd2', 'd3'), { minLength: 1, maxLength: 5 })
    .map((tokens) => tokens.join('.'));

  test('cover every subject, within their limits, and are the subjects where those are few', () => {
    fc.assert(
      fc.property(fc.array(subject, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 8 }), (subjects, patternsMax) => {
        const summary = summariseSubjects(subjects, { patternsMax, bytesMax: 200 });
        assert.ok(summary.length <= patternsMax);
        for (const one of subjects)
          assert.ok(
            summary.some((pattern) => covers(pattern, one)),
            `${one} in ${summary.join(' ')}`,
          );
        if (new Set(subjects).size <= patternsMax) assert.deepEqual(new Set(summary), new Set(subjects));
      }),
    );
  });

  test('keep what does not vary', () => {
    const subjects = Array.from({ length: 1_000 }, (_, at) => `orders.${at}.created`);
    assert.deepEqual(summariseSubjects([...subjects, 'audit'], { patternsMax: 8, bytesMax: 200 }), ['orders.*.created', 'audit']);
  });

  test('summaries of summaries end too', () => {
    assert.deepEqual(summariseSubjects(['>', 'a.*', 'b.>', 'c'], { patternsMax: 1, bytesMax: 100 }), ['>']);
  });

  test('never say no where a subject matches', () => {
    const pattern = fc
      .array(fc.constantFrom('a', 'b', '*'), { minLength: 1, maxLength: 3 })
      .chain((tokens) => fc.constantFrom(tokens.join('.'), `${tokens.join('.')}.>`));
    fc.assert(
      fc.property(fc.array(subject, { minLength: 1 }), fc.array(pattern), (subjects, wanted) => {
        const summary = summariseSubjects(subjects, { patternsMax: 2, bytesMax: 100 });
        const matches = wanted.length === 0 || subjects.some((one) => wanted.some((pattern) => subjectMatches(pattern, one)));
        assert.ok(!matches || mayMatch(summary, wanted));
      }),
    );
  });
});

test('times keep their nanoseconds, also before 1970', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -62_135_596_800_000_000_000n, max: 253_402_300_799_999_999_999n }), (nanos) =>
      assert.equal(parseTime(formatTime(nanos)), nanos),
    ),
  );
  assert.equal(parseTime('2025-11-21T11:00:00.5+01:00'), parseTime('2025-11-21T10:00:00.500000000Z'));
  for (const text of ['', 'yesterday', '2025-11-21', '2025-13-21T10:00:00Z', '2025-11-21T10:00:00'])
    assert.throws(() => parseTime(text), { code: 'TIME_INVALID' }, text);
});

test('header blocks are lines in their order', () => {
  const lines = [
    ['B', '1'],
    ['a', ''],
    ['B', ' 2 '],
  ] as const;
  assert.deepEqual(decodeHeaders(encodeHeaders(lines)), lines);
  assert.equal(encodeHeaders([]).length, 0);
});
