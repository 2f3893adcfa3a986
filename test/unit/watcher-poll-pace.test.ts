import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PollPace } from '../../src/es-watcher/poll-pace.ts';

test('before anything was found, and long after, the interval is waited', () => {
  const pace = new PollPace(100);
  assert.equal(pace.pauseMs(0, 1), 100);
  pace.found(1_000);
  assert.equal(pace.pauseMs(60_000, 1), 100);
});

test('after a change the wait is short, and grows with the quiet', () => {
  const pace = new PollPace(100);
  pace.found(1_000);
  assert.equal(pace.pauseMs(1_100, 0.5), 2);
  assert.equal(pace.pauseMs(3_000, 0.5), 40);
});

test('a slow cluster is left in peace twice as long as it was asked, up to the interval', () => {
  const pace = new PollPace(100);
  pace.found(1_000);
  assert.equal(pace.pauseMs(1_000, 20), 40);
  assert.equal(pace.pauseMs(1_000, 500), 100);
});
