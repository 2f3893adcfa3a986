import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { stringBytesMax, writeInteger, writeString } from '../../src/core/json-write.ts';

test('a string is written as JSON.stringify writes it, within its bound', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.string()), (text) => {
      const into = Buffer.alloc(stringBytesMax(text) + 1);
      const end = writeString(into, 1, text);
      assert.equal(into.toString('utf8', 1, end), Buffer.from(JSON.stringify(text)).toString());
    }),
  );
});

function check(value: number): void {
  const into = Buffer.alloc(20);
  assert.equal(into.toString('latin1', 0, writeInteger(into, 0, value)), String(value));
}

test('an integer is written as it is, up to 2^53', () => {
  const edges = [0, 9, 10, 99_999_999, 100_000_000, 900_000_000_000_000, Number.MAX_SAFE_INTEGER];
  for (const edge of edges) check(edge);
  fc.assert(fc.property(fc.maxSafeNat(), check));
  fc.assert(fc.property(fc.nat(), check));
});
