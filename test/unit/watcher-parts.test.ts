import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deleteVersion, epochAbove, succeededVersion, writeVersion } from '../../src/core/version.ts';
import type { PrimaryShard } from '../../src/elastic/index.ts';
import { Checkpoint } from '../../src/es-watcher/checkpoint.ts';
import { Incarnations } from '../../src/es-watcher/incarnations.ts';
import { LagClock } from '../../src/es-watcher/lag-clock.ts';
import { PageSize } from '../../src/es-watcher/page-size.ts';
import { PassiveRefresh } from '../../src/es-watcher/passive-refresh.ts';

const facts = (uuid: string, createdAt: number) => ({ name: 'i', uuid, createdAt });

const shard = (globalCheckpoint: number, refreshTotal: number, refreshTimeMs: number): PrimaryShard => ({
  node: 'n',
  state: 'STARTED',
  globalCheckpoint,
  localCheckpoint: globalCheckpoint,
  maxSeqNo: globalCheckpoint,
  historyUuid: 'h',
  refreshTotal,
  refreshTimeMs,
});

describe('page size', () => {
  it('grows towards the bytes wanted, and not at one leap', () => {
    const size = new PageSize(2_000_000, 10_000);
    assert.equal(size.documents, 500);
    size.learn(500, 500 * 200);
    assert.equal(size.documents, 2_000);
    size.learn(2_000, 2_000 * 200);
    assert.equal(size.documents, 8_000);
    size.learn(8_000, 8_000 * 200);
    assert.equal(size.documents, 10_000);
  });

  it('shrinks at once, to one document if need be', () => {
    const size = new PageSize(2_000_000, 10_000);
    size.learn(400, 400 * 1_500_000);
    assert.equal(size.documents, 1);
    size.halve(1);
    assert.equal(size.documents, 1);
  });

  it('learns nothing from a page that is nearly empty', () => {
    const size = new PageSize(2_000_000, 10_000);
    size.learn(2, 2 * 1_000_000);
    assert.equal(size.documents, 500);
  });
});

describe('lag clock', () => {
  it('tells for how long the oldest unread operation has been known', () => {
    const clock = new LagClock();
    clock.see(10, 1_000);
    clock.see(20, 3_000);
    assert.equal(clock.seconds(5, 5_000), 4);
    assert.equal(clock.seconds(10, 5_000), 2);
    assert.equal(clock.seconds(20, 5_000), 0);
  });

  it('is bounded and keeps the oldest', () => {
    const clock = new LagClock();
    for (let at = 0; at < 10_000; at++) clock.see(at, at);
    assert.equal(clock.seconds(-1, 10_000), 10);
  });
});

describe('passive refresh', () => {
  it('takes one refresh that surely began later', () => {
    const passive = new PassiveRefresh();
    assert.equal(passive.see(shard(7, 3, 100), 0, 5, 1_000), undefined);
    assert.equal(passive.see(shard(9, 3, 100), 500, 505, 1_000), undefined);
    assert.equal(passive.see(shard(9, 4, 120), 600, 605, 1_000), 7);
  });

  it('waits for a second one when the first may have begun before', () => {
    const passive = new PassiveRefresh();
    assert.equal(passive.see(shard(7, 3, 100), 0, 5, 1_000), undefined);
    assert.equal(passive.see(shard(7, 4, 180), 100, 105, 1_000), undefined);
    assert.equal(passive.see(shard(7, 4, 180), 900, 905, 1_000), undefined);
    assert.equal(passive.see(shard(7, 5, 200), 1_100, 1_105, 1_000), 7);
  });

  it('gives a quiet index that long, and none at all where refreshes are off', () => {
    const passive = new PassiveRefresh();
    passive.see(shard(7, 3, 100), 0, 5, 1_000);
    assert.equal(passive.see(shard(7, 3, 100), 69_000, 69_000, 1_000), undefined);
    assert.equal(passive.see(shard(7, 3, 100), 71_000, 71_000, -1), undefined);
    assert.equal(passive.see(shard(7, 3, 100), 71_000, 71_000, 1_000), 7);
  });

  it('begins again when the node has counted from zero', () => {
    const passive = new PassiveRefresh();
    passive.see(shard(7, 30, 100), 0, 5, 1_000);
    assert.equal(passive.see(shard(8, 1, 10), 100, 105, 1_000), undefined);
    assert.equal(passive.see(shard(8, 3, 30), 2_000, 2_005, 1_000), 8);
  });

  it('asks for a search now and then while it waits', () => {
    const passive = new PassiveRefresh();
    passive.see(shard(7, 3, 100), 0, 5, 1_000);
    assert.equal(passive.wantsTouch(500), false);
    assert.equal(passive.wantsTouch(1_500), true);
    assert.equal(passive.wantsTouch(1_600), false);
  });
});

describe('incarnations', () => {
  const now = 50_000_000;
  const withIncarnations = (work: (incarnations: Incarnations, checkpoint: Checkpoint) => void) => () => {
    const checkpoint = new Checkpoint(':memory:');
    work(new Incarnations(checkpoint, () => now), checkpoint);
    checkpoint.close();
  };
  it(
    'have the creation time as their epoch, also when created anew',
    withIncarnations((incarnations) => {
      assert.equal(incarnations.resolve(facts('a', 1_000)).epoch, 1_000);
      assert.equal(incarnations.resolve(facts('a', 1_000)).epoch, 1_000);
      const second = incarnations.resolve(facts('b', 2_000));
      assert.equal(second.epoch, 2_000);
      assert.deepEqual(
        incarnations.former('i').map((former) => [former.uuid, former.state]),
        [['a', 'former']],
      );
    }),
  );

  it(
    'begin now when the creation time says nothing new: restored, or rolled back',
    withIncarnations((incarnations) => {
      incarnations.resolve(facts('a', 2_000));
      assert.equal(incarnations.resolve(facts('restored', 1_000)).epoch, now);
      assert.ok(incarnations.succeed(facts('restored', 1_000)).epoch > now);
    }),
  );

  it(
    'lie above every version of their predecessors, however busy these were',
    withIncarnations((incarnations, checkpoint) => {
      const first = incarnations.resolve(facts('a', 1_000));
      const shard = checkpoint.addShard(first, 0, 'h');
      checkpoint.advance(shard, { checkpoint: 90_000_000, owed: false, rewritten: 0 }, 0);
      const second = incarnations.resolve(facts('b', 1_001));
      assert.ok(succeededVersion(second.epoch) > deleteVersion(first.epoch, 90_000_000));
      assert.ok(writeVersion(second.epoch, 0) > succeededVersion(second.epoch));
    }),
  );

  it(
    'come back as they were when the very same index does',
    withIncarnations((incarnations) => {
      const first = incarnations.resolve(facts('a', 1_000));
      incarnations.leave(first);
      assert.equal(incarnations.live('i'), undefined);
      assert.equal(incarnations.resolve(facts('a', 1_000)).key, first.key);
      incarnations.leave(first);
      assert.equal(incarnations.resolve(facts('b', 3_000)).epoch, 3_000);
      assert.deepEqual(incarnations.namesWithFormer(), ['i']);
    }),
  );
});

it('an epoch can be raised just above a version', () => {
  const version = deleteVersion(1_000, 77);
  assert.ok(writeVersion(epochAbove(version), 0) > version);
  assert.ok(writeVersion(epochAbove(version) - 1, 0) <= version);
});
