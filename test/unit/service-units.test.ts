import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, nat, property } from 'fast-check';
import { formatBytes, formatDuration, parseBytes, parseDuration } from '../../src/service/units.ts';

test('durations: a plain number is milliseconds, units add up, and nothing else is taken', () => {
  const accepted = {
    '0': 0,
    '100': 100,
    '100ms': 100,
    '30s': 30_000,
    '5m': 300_000,
    '1h': 3_600_000,
    '1h30m': 5_400_000,
    '1.5h': 5_400_000,
    '7d': 604_800_000,
  };
  for (const [text, ms] of Object.entries(accepted)) assert.equal(parseDuration(text), ms, text);
  for (const text of ['', '-1', '1.5', '1 s', '1S', 's', '1w', '0.5ms', '1e3', 'abc', '99999999999999999999', '5s!']) {
    assert.equal(parseDuration(text), undefined, text);
  }
});

test('sizes: units are powers of 1024 in every spelling', () => {
  const accepted = {
    '0': 0,
    '4096': 4096,
    '1b': 1,
    '1k': 1024,
    '1KB': 1024,
    '1KiB': 1024,
    '8MB': 8_388_608,
    '8MiB': 8_388_608,
    '8 mb': 8_388_608,
    '1.5G': 1_610_612_736,
    '1TB': 2 ** 40,
  };
  for (const [text, bytes] of Object.entries(accepted)) assert.equal(parseBytes(text), bytes, text);
  for (const text of ['', '-1', '1.5', 'MB', '8 M B', '8PB', '1e3', '9999999999GB'])
    assert.equal(parseBytes(text), undefined, text);
});

test('what is shown reads back as the same value', () => {
  check(property(nat(), (ms) => assert.equal(parseDuration(formatDuration(ms)), ms)));
  check(property(nat(), (bytes) => assert.equal(parseBytes(formatBytes(bytes)), bytes)));
  assert.deepEqual([0, 100, 60_000, 90_000, 3_600_000].map(formatDuration), ['0', '100ms', '1m', '90s', '1h']);
  assert.deepEqual([0, 1000, 524_288, 8_388_608].map(formatBytes), ['0', '1000', '512KB', '8MB']);
});
