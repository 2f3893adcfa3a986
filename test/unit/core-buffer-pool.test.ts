import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool } from '../../src/core/buffer-pool.ts';

const kib = 1024;

test('a buffer has the length asked for, and its memory is used again', () => {
  const pool = new BufferPool(2, 1024 * kib);
  const first = pool.take(100 * kib);
  assert.equal(first.length, 100 * kib);
  pool.give(first);
  const second = pool.take(10);
  assert.equal(second.length, 10);
  assert.equal(second.buffer, first.buffer);
  assert.notEqual(pool.take(10).buffer, first.buffer);
});

test('the smallest that fits is taken', () => {
  const pool = new BufferPool(3, 1024 * kib);
  const [large, small] = [pool.take(512 * kib), pool.take(128 * kib)];
  pool.give(large);
  pool.give(small);
  assert.equal(pool.take(100 * kib).buffer, small.buffer);
  assert.equal(pool.take(200 * kib).buffer, large.buffer);
});

test('only so many are kept, none too large, and the larger ones before the smaller', () => {
  const pool = new BufferPool(1, 512 * kib);
  const [small, large, tooLarge] = [pool.take(64 * kib), pool.take(256 * kib), pool.take(513 * kib)];
  pool.give(tooLarge);
  assert.notEqual(pool.take(1).buffer, tooLarge.buffer);
  pool.give(small);
  pool.give(large);
  assert.equal(pool.take(1).buffer, large.buffer);
  assert.notEqual(pool.take(1).buffer, small.buffer);
});
