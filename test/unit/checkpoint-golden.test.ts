import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { GatewayError } from '../../src/core/errors.ts';
import { Checkpoint } from '../../src/es-watcher/checkpoint.ts';
import { openDatabase } from '../../src/es-watcher/schema.ts';

/** An upgrade in the field is this: today's program opens what an older one has left. */
const goldens = join(import.meta.dirname, '../golden/checkpoints');
const versions = readdirSync(goldens).filter((name) => /^v\d+$/.test(name));
const directory = mkdtempSync(join(tmpdir(), 'checkpoint-golden-'));
after(() => rmSync(directory, { recursive: true }));

/** A copy, as opening a checkpoint writes to it. */
function copyOf(version: string, name: string): string {
  const to = join(directory, `${version}-${name}`);
  cpSync(join(goldens, version), to, { recursive: true });
  return to;
}

for (const version of versions) {
  test(`a checkpoint of format ${version} is read in full`, () => {
    const checkpoint = new Checkpoint(copyOf(version, 'read'));
    checkpoint.claim('cluster-uuid', 'acme');
    assert.deepEqual(checkpoint.streamPosition(), {
      name: 'ES_CHANGES',
      created: '2026-11-21T14:00:00.123456789Z',
      sequence: 77,
    });
    const [orders, former] = checkpoint.incarnations();
    assert.deepEqual(
      [orders, former].map((one) => [one?.name, one?.uuid, one?.epoch, one?.state, one?.routed]),
      [
        ['orders', 'uuid-1', 1763700000000, 'live', true],
        ['orders', 'uuid-0', 1763600000000, 'former', false],
      ],
    );
    const [first, second] = checkpoint.shards(orders!);
    assert.deepEqual(
      [first, second].map((one) => [one?.shard, one?.historyUuid, one?.checkpoint, one?.owed, one?.rewritten]),
      [
        [0, 'history-1', 5001, true, 2],
        [1, 'history-1', -1, false, 0],
      ],
    );
    assert.deepEqual(
      checkpoint.rows.list(first!.key, { from: 0, to: 9_999 }, 10).map(({ seqNo, id, routing }) => [seqNo, id, routing]),
      [
        [0, 'plain', undefined],
        [3, 'é "quoted" \n', 'r/1'],
        [5000, 'later', undefined],
      ],
    );
    assert.deepEqual([...checkpoint.rows.blockCounts(first!.key).values()], [2, 1]);
    const lost = checkpoint.deletionsAfter(74).flatMap(({ deletions }) => deletions);
    assert.deepEqual(lost, [{ seqNo: 4, id: 'gone', routing: 'r/1', version: 1763700000000 * 2048 + 9 }]);
    const drops = checkpoint.drops().map((drop) => ({ ...drop }));
    assert.deepEqual(drops, [{ name: 'old-orders', version: 1763600000000 * 2048 - 1, sequence: 70 }]);
    checkpoint.close();
  });
}

test('the newest golden checkpoint has the tables of today: a change of them is a new format', () => {
  const newest = versions.sort((a, b) => Number(a.slice(1)) - Number(b.slice(1))).at(-1)!;
  assert.deepEqual(tablesOf(openDatabase(copyOf(newest, 'tables'))), tablesOf(openDatabase(':memory:')));
});

test('a newer checkpoint is refused, with what to do', () => {
  const path = copyOf(versions.at(-1)!, 'newer');
  const database = new DatabaseSync(join(path, 'checkpoint.db'));
  database.exec(`PRAGMA user_version = ${versions.length + 1}`);
  database.close();
  assert.throws(
    () => new Checkpoint(path),
    (error: unknown) =>
      error instanceof GatewayError && error.code === 'CHECKPOINT_NEWER' && /--checkpoint-path/.test(error.hint ?? ''),
  );
});

function tablesOf(database: DatabaseSync): unknown[] {
  const found = database.prepare('SELECT type, name, sql FROM sqlite_master ORDER BY name').all();
  const version = database.prepare('PRAGMA user_version').get();
  database.close();
  return [version, ...found];
}
