import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { backoffMs, pause } from '../../src/core/backoff.ts';
import { Batcher } from '../../src/core/batch.ts';
import { deleteVersion, succeededVersion, writeVersion } from '../../src/core/version.ts';

test('batches keep order and limits, and lose nothing', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 20 })),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 50 }),
      (sizes, itemsMax, bytesMax) => {
        const batcher = new Batcher<{ size: number }>({ itemsMax, bytesMax, ageMsMax: 10 }, (item) => item.size);
        const items = sizes.map((size) => ({ size }));
        for (const item of items) batcher.add(item);
        const taken: { size: number }[] = [];
        while (batcher.length > 0) {
          const batch = batcher.take();
          const bytes = batch.reduce((sum, item) => sum + item.size, 0);
          assert.ok(batch.length > 0 && batch.length <= itemsMax);
          assert.ok(bytes <= bytesMax || batch.length === 1);
          taken.push(...batch);
        }
        assert.deepEqual(taken, items);
        assert.equal(batcher.dueInMs(0), undefined);
        assert.deepEqual(batcher.take(), []);
      },
    ),
  );
});

test('a batch goes at once when nothing is on its way, when it is full, or when it is old', () => {
  let now = 1000;
  const batcher = new Batcher<number>(
    { itemsMax: 3, bytesMax: 100, ageMsMax: 20 },
    (bytes) => bytes,
    () => 1,
    () => now,
  );
  assert.equal(batcher.dueInMs(0), undefined);
  batcher.add(1);
  assert.equal(batcher.dueInMs(0), 0);
  assert.equal(batcher.dueInMs(1), 20);
  now += 15;
  batcher.add(1);
  assert.equal(batcher.dueInMs(1), 5, 'the oldest item counts');
  now += 50;
  assert.equal(batcher.dueInMs(1), 0);
  now -= 50;
  batcher.add(98);
  assert.ok(batcher.full);
  assert.equal(batcher.dueInMs(1), 0);
});

test('pauses double up to their bound, with at most half of them left to chance', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5000 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempt, luck) => {
      const limits = { minMs: 100, maxMs: 30_000 };
      const ceiling = Math.min(30_000, 100 * 2 ** (attempt - 1));
      const ms = backoffMs(attempt, limits, () => luck);
      assert.ok(ms >= Math.floor(ceiling / 2) && ms <= ceiling, `${attempt}: ${ms}`);
    }),
  );
});

test('a pause ends early, without an error, when it is called off', async () => {
  const off = new AbortController();
  const paused = pause(60_000, off.signal);
  off.abort();
  await paused;
  await pause(60_000, off.signal);
});

test('versions rise with every operation, and a later incarnation beats an earlier one', () => {
  const epoch = fc.integer({ min: 1_400_000_000_000, max: 4_300_000_000_000 });
  const seqNo = fc.nat({ max: 2 ** 40 });
  fc.assert(
    fc.property(epoch, seqNo, seqNo, (born, a, b) => {
      const [low, high] = a < b ? [a, b] : [b, a];
      assert.ok(Number.isSafeInteger(deleteVersion(born, high)));
      // A delete found at `high` beats whatever was written up to there, and loses to what is written next.
      assert.ok(writeVersion(born, low) < deleteVersion(born, high));
      assert.ok(writeVersion(born, high) < deleteVersion(born, high));
      assert.ok(deleteVersion(born, low) < writeVersion(born, low + 1));
      if (low < high) assert.ok(writeVersion(born, low) < writeVersion(born, high));
    }),
  );
  fc.assert(
    // An index takes at least a second's time before it is made again, and averages under a million operations a second.
    fc.property(epoch, fc.integer({ min: 1000, max: 10 ** 9 }), (born, lifeMs) => {
      const operations = lifeMs * 1000;
      assert.ok(deleteVersion(born, operations) < succeededVersion(born + lifeMs));
      assert.ok(succeededVersion(born + lifeMs) < writeVersion(born + lifeMs, 0));
    }),
  );
});
