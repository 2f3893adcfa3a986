import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { GatewayError } from '../../src/core/errors.ts';
import { decodeSubject, decodeToken, encodeSubject, encodeToken, subjectMatches } from '../../src/core/subject.ts';
import { anyText } from '../support/arbitrary-events.ts';

const operation = fc.constantFrom('index' as const, 'update' as const, 'delete' as const, 'drop' as const);

test('a token holds any name and gives it back', () => {
  fc.assert(
    fc.property(anyText, (name) => {
      const token = encodeToken(name);
      assert.equal(decodeToken(token), name);
      assert.doesNotMatch(token, /[.*>\s\p{Cc}]/u);
    }),
  );
});

test('an ordinary name is its own token', () => {
  for (const name of ['products', 'logs-2024', 'größe', '_all', '日本']) assert.equal(encodeToken(name), name);
  assert.equal(encodeToken('logs.2024 *>%'), 'logs%2E2024%20%2A%3E%25');
});

test('a subject has four tokens and gives back what went in, under any prefix', () => {
  fc.assert(
    fc.property(anyText, anyText, operation, fc.constantFrom('es', 'dlq.es'), (tenant, index, operation, prefix) => {
      const subject = encodeSubject({ tenant, index, operation }, prefix);
      assert.equal(subject.split('.').length, 3 + prefix.split('.').length);
      assert.deepEqual(decodeSubject(subject, prefix), { tenant, index, operation });
    }),
  );
});

test('a subject of another form is refused with a code', () => {
  const foreign = ['es', 'es.', 'es.a.b', 'es.a.b.noop', 'es.a.b.index.c', 'es..b.index', 'es.a..index', 'dlq.es.a.b.index', ''];
  for (const subject of foreign) {
    assert.throws(
      () => decodeSubject(subject),
      (error) => error instanceof GatewayError && error.code === 'SUBJECT_FOREIGN',
      subject,
    );
  }
  assert.throws(
    () => decodeSubject('es.a.%zz.index'),
    (error) => error instanceof GatewayError && error.code === 'SUBJECT_ENCODING',
  );
  assert.throws(
    () => encodeToken(''),
    (error) => error instanceof GatewayError && error.code === 'SUBJECT_EMPTY',
  );
});

test('any text at all is decoded or refused, never a crash', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(fc.string()).map((tokens) => `es.${tokens.join('.')}`),
      ),
      (subject) => {
        try {
          decodeSubject(subject);
        } catch (error) {
          assert.ok(error instanceof GatewayError);
        }
      },
    ),
  );
});

test('patterns match as NATS matches', () => {
  const cases: [string, string, boolean][] = [
    ['es.>', 'es.a.b.index', true],
    ['es.>', 'es', false],
    ['>', 'es', true],
    ['es.*.b.index', 'es.a.b.index', true],
    ['es.*.b.index', 'es.a.c.index', false],
    ['es.*', 'es.a.b', false],
    ['es.*.*.delete', 'es.a.b.delete', true],
    ['es.a.b', 'es.a.b.c', false],
    ['es.a.b.c', 'es.a.b', false],
    ['*', 'es', true],
  ];
  for (const [pattern, subject, matches] of cases)
    assert.equal(subjectMatches(pattern, subject), matches, `${pattern} ${subject}`);
});
