import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Checkpoint } from '../../src/es-watcher/checkpoint.ts';
import { blockWidth } from '../../src/es-watcher/rows.ts';

const row = (seqNo: number) => ({ seqNo, id: `id-${seqNo}`, routing: undefined });
const shardOf = (checkpoint: Checkpoint) => checkpoint.addShard(checkpoint.addIncarnation('index', 'uuid', 1000), 0, 'history');

type Opened = { checkpoint: Checkpoint; end: () => void };

function inside(open: () => Opened) {
  return (work: (checkpoint: Checkpoint) => void) => () => {
    const opened = open();
    try {
      work(opened.checkpoint);
    } finally {
      opened.end();
    }
  };
}

/** Every form of the checkpoint keeps the same promises. */
function checkpointSuite(name: string, open: () => Opened): void {
  describe(`checkpoint ${name}`, () => {
    const withCheckpoint = inside(open);

    it(
      'starts a shard before its first operation',
      withCheckpoint((checkpoint) => {
        const shard = shardOf(checkpoint);
        assert.equal(shard.checkpoint, -1);
        assert.equal(shard.owed, false);
      }),
    );

    it(
      'keeps what was committed and nothing of what failed',
      withCheckpoint((checkpoint) => {
        const incarnation = checkpoint.addIncarnation('index', 'uuid', 1000);
        const shard = checkpoint.addShard(incarnation, 0, 'history');
        checkpoint.transaction(true, () => checkpoint.advance(shard, { checkpoint: 9, owed: true, rewritten: 2 }, 5));
        assert.throws(() =>
          checkpoint.transaction(true, () => {
            checkpoint.rows.append(shard.key, [row(10)]);
            throw new Error('no');
          }),
        );
        assert.deepEqual(checkpoint.shards(incarnation), [{ ...shard, checkpoint: 9, owed: true, rewritten: 2 }]);
        assert.deepEqual(checkpoint.rows.list(shard.key, { from: 0, to: 99 }, 10), []);
      }),
    );

    it(
      'gives ids and routings back as they were, whatever they hold, and counts rows that are partly there',
      withCheckpoint((checkpoint) => {
        const incarnation = checkpoint.addIncarnation('index', 'uuid', 1000);
        const { key } = checkpoint.addShard(incarnation, 0, 'history');
        const texts = ['\0begins', 'ends\0', 'a\0b', '🙂', '"', ' '];
        const rows = Array.from({ length: 130 }, (_, n) => ({
          seqNo: n,
          id: `${texts[n % 6]}${n}`,
          routing: texts[(n + 1) % 6],
        }));
        checkpoint.transaction(true, () => checkpoint.rows.append(key, rows.slice(20, 60)));
        checkpoint.transaction(true, () => checkpoint.rows.append(key, rows));
        assert.deepEqual(checkpoint.rows.list(key, { from: 0, to: 999 }, 999), rows);
        assert.deepEqual(checkpoint.rows.blockCounts(key), new Map([[0, 130]]));
        const deletions = rows.slice(0, 6).map((each) => ({ ...each, version: 7 }));
        checkpoint.transaction(true, () => checkpoint.logDeletions(incarnation, deletions, 5, 0));
        assert.deepEqual(checkpoint.deletionsAfter(4)[0]?.deletions, deletions);
      }),
    );

    it(
      'counts rows by block, through repeats and removals',
      withCheckpoint((checkpoint) => {
        const { key } = shardOf(checkpoint);
        const rows = [row(0), row(1), row(blockWidth - 1), row(blockWidth), row(5 * blockWidth)];
        checkpoint.transaction(true, () => checkpoint.rows.append(key, rows));
        checkpoint.transaction(true, () => checkpoint.rows.append(key, rows));
        assert.deepEqual(
          [...checkpoint.rows.blockCounts(key)],
          [
            [0, 3],
            [1, 1],
            [5, 1],
          ],
        );
        checkpoint.transaction(false, () => checkpoint.rows.remove(key, [1, 2, blockWidth, blockWidth]));
        assert.deepEqual(
          [...checkpoint.rows.blockCounts(key)],
          [
            [0, 2],
            [5, 1],
          ],
        );
        assert.deepEqual(checkpoint.rows.sequenceNumbers(key, { from: 0, to: blockWidth }), [0, blockWidth - 1]);
      }),
    );

    it(
      'goes back to the newest checkpoint that a stream covers',
      withCheckpoint((checkpoint) => {
        const incarnation = checkpoint.addIncarnation('index', 'uuid', 1000);
        const [early, late] = [checkpoint.addShard(incarnation, 0, 'h'), checkpoint.addShard(incarnation, 1, 'h')];
        for (const [shard, at, sequence] of [
          [early, 10, 100],
          [early, 20, 200],
          [late, 7, 300],
        ] as const) {
          checkpoint.transaction(true, () => checkpoint.advance(shard, { checkpoint: at, owed: false, rewritten: 0 }, sequence));
        }
        checkpoint.transaction(true, () => checkpoint.goBack(250));
        assert.deepEqual(
          checkpoint.shards(incarnation).map((shard) => [shard.checkpoint, shard.owed]),
          [
            [20, true],
            [-1, true],
          ],
        );
      }),
    );

    it(
      'keeps deletes until every consumer has them, and where there is routing for a day',
      withCheckpoint((checkpoint) => {
        const incarnation = checkpoint.addIncarnation('index', 'uuid', 1000);
        const [early, late] = [
          { seqNo: 1, id: 'early', routing: undefined, version: 3 },
          { seqNo: 9, id: 'late', routing: 'r', version: 19 },
        ];
        checkpoint.transaction(true, () => {
          checkpoint.logDeletions(incarnation, [early], 10, 0);
          checkpoint.logDeletions(incarnation, [late], 20, 0);
        });
        checkpoint.transaction(true, () => checkpoint.trim(10, 1000));
        assert.deepEqual(checkpoint.deletionsAfter(0)[0]?.deletions, [late]);
        assert.equal(checkpoint.departedVersion(incarnation, 'late'), -1);
        checkpoint.transaction(true, () => checkpoint.setRouted(incarnation));
        checkpoint.transaction(true, () => checkpoint.logDeletions(incarnation, [early, late], 30, 0));
        checkpoint.transaction(true, () => checkpoint.trim(30, 1000));
        assert.deepEqual(checkpoint.deletionsAfter(0)[0]?.deletions, [early, late]);
        assert.equal(checkpoint.departedVersion(incarnation, 'early'), 3);
        assert.ok(checkpoint.hasDeparted(incarnation));
        checkpoint.transaction(true, () => checkpoint.trim(30, 25 * 3_600_000));
        assert.ok(!checkpoint.hasDeparted(incarnation));
      }),
    );

    it(
      'keeps its history bounded, and its ends',
      withCheckpoint((checkpoint) => {
        const incarnation = checkpoint.addIncarnation('index', 'uuid', 1000);
        const shard = checkpoint.addShard(incarnation, 0, 'h');
        checkpoint.transaction(true, () => {
          for (let at = 1; at <= 3000; at++) checkpoint.advance(shard, { checkpoint: at, owed: false, rewritten: 0 }, at);
        });
        for (let pass = 0; pass < 5; pass++) checkpoint.transaction(true, () => checkpoint.trim(0, 0));
        checkpoint.transaction(true, () => checkpoint.goBack(3000));
        assert.equal(checkpoint.shards(incarnation)[0]?.checkpoint, 3000);
        checkpoint.transaction(true, () => checkpoint.goBack(1500));
        const kept = checkpoint.shards(incarnation)[0]!.checkpoint;
        assert.ok(kept > 1400 && kept <= 1500, `went back to ${kept}`);
      }),
    );

    it(
      'forgets an incarnation whole',
      withCheckpoint((checkpoint) => {
        const incarnation = checkpoint.addIncarnation('index', 'uuid', 1000);
        const shard = checkpoint.addShard(incarnation, 0, 'h');
        checkpoint.transaction(true, () => checkpoint.rows.append(shard.key, [row(1)]));
        checkpoint.transaction(true, () => checkpoint.removeIncarnation(incarnation));
        assert.deepEqual(checkpoint.incarnations(), []);
        assert.deepEqual(checkpoint.rows.list(shard.key, { from: 0, to: 9 }, 9), []);
        assert.equal(checkpoint.rows.blockCounts(shard.key).size, 0);
      }),
    );

    it(
      'belongs to one cluster and one tenant',
      withCheckpoint((checkpoint) => {
        checkpoint.claim('cluster-a', 'acme');
        checkpoint.claim('cluster-a', 'acme');
        assert.throws(() => checkpoint.claim('cluster-b', 'acme'), { code: 'CHECKPOINT_OTHER_OWNER' });
        assert.throws(() => checkpoint.claim('cluster-a', 'other'), { code: 'CHECKPOINT_OTHER_OWNER' });
      }),
    );
  });
}

checkpointSuite('in memory', () => {
  const checkpoint = new Checkpoint(':memory:');
  return { checkpoint, end: () => checkpoint.close() };
});

checkpointSuite('on a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'checkpoint-'));
  const checkpoint = new Checkpoint(folder);
  return {
    checkpoint,
    end: () => {
      checkpoint.close();
      rmSync(folder, { recursive: true });
    },
  };
});
