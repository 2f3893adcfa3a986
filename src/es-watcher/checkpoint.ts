import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { GatewayError } from '../core/errors.ts';
import { idsAsBytes, type IdsAsBytes, idsOf, Rows } from './rows.ts';
import { explainDatabaseError, openDatabase } from './schema.ts';

/** `live` is followed; `former` was succeeded by another index of its name; `gone` is no longer in the cluster. */
export type IncarnationState = 'live' | 'former' | 'gone';
export type Incarnation = {
  key: number;
  name: string;
  uuid: string;
  epoch: number;
  state: IncarnationState;
  /** Some document has had custom routing. */
  routed: boolean;
};
export type ShardState = {
  key: number;
  shard: number;
  historyUuid: string;
  /** Everything up to here is in the stream; −1 for nothing. */
  checkpoint: number;
  /** Deletes or overwrites happened up to the checkpoint that have not been looked for. */
  owed: boolean;
  /** Updates since the last look: rows that may have been superseded. */
  rewritten: number;
};
export type Deletion = { seqNo: number; id: string; routing: string | undefined; version: number };
export type LostDeletions = { incarnation: Incarnation; deletions: Deletion[]; rowids: number[] };
export type StreamPosition = { name: string; created: string; sequence: number };

type StoredShard = {
  shard_key: number;
  shard: number;
  history_uuid: string;
  checkpoint: number;
  owed: number;
  rewritten: number;
};
type StoredIncarnation = {
  incarnation: number;
  name: string;
  uuid: string;
  epoch: number;
  state: IncarnationState;
  routed: number;
};
type StoredDeletion = IdsAsBytes & { rowid: number; incarnation: number; seq_no: number; version: number };

/** For how long a target may remember a delete's version: longer than any sensible `index.gc_deletes`. */
const departedKeptMs = 24 * 3_600_000;
const historyPerShardMax = 512;

/** What the watcher knows across restarts. Synchronous: every call is a few index steps on a local file. */
export class Checkpoint {
  readonly rows: Rows;
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string) {
    this.#path = path;
    this.#database = openDatabase(path);
    this.rows = new Rows(this.#database);
  }

  close(): void {
    this.#database.close();
  }

  /**
   * Runs `work` as one transaction. `durable` ones are on disk when this returns: those that others rely on before they go on. The rest
   * may be lost by a power cut, newest first, and cost a repeat.
   */
  transaction<Result>(durable: boolean, work: () => Result): Result {
    try {
      this.#database.exec(durable ? 'PRAGMA synchronous = FULL; BEGIN' : 'PRAGMA synchronous = NORMAL; BEGIN');
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw explainDatabaseError(error, this.#path);
    }
  }

  meta(key: string): string | undefined {
    return (this.#prepare('SELECT value FROM meta WHERE key = ?').get(key) as { value: string } | undefined)?.value;
  }

  setMeta(key: string, value: string): void {
    this.#prepare('INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value').run(key, value);
  }

  /** Binds a new checkpoint to its cluster and tenant, and turns away a checkpoint that belongs to others. */
  claim(clusterUuid: string, tenant: string): void {
    for (const [key, value, setting] of [
      ['cluster_uuid', clusterUuid, '--es-hosts (ES_HOSTS)'],
      ['tenant', tenant, '--tenant (TENANT)'],
    ] as const) {
      const known = this.meta(key);
      if (known !== undefined && known !== value) {
        throw new GatewayError(
          'CHECKPOINT_OTHER_OWNER',
          `the checkpoint in ${this.#path} belongs to ${key} ${known}, not to ${value}`,
          {
            hint: `correct ${setting}, or give --checkpoint-path (CHECKPOINT_PATH) another directory`,
          },
        );
      }
      this.setMeta(key, value);
    }
  }

  incarnations(): Incarnation[] {
    const all = this.#prepare('SELECT * FROM incarnations ORDER BY incarnation').all() as StoredIncarnation[];
    return all.map((i) => ({
      key: i.incarnation,
      name: i.name,
      uuid: i.uuid,
      epoch: i.epoch,
      state: i.state,
      routed: i.routed !== 0,
    }));
  }

  addIncarnation(name: string, uuid: string, epoch: number): Incarnation {
    const { lastInsertRowid } = this.#prepare(
      "INSERT INTO incarnations (name, uuid, epoch, state, routed) VALUES (?, ?, ?, 'live', 0)",
    ).run(name, uuid, epoch);
    return { key: Number(lastInsertRowid), name, uuid, epoch, state: 'live', routed: false };
  }

  setState(incarnation: Incarnation, state: IncarnationState): void {
    this.#prepare('UPDATE incarnations SET state = ? WHERE incarnation = ?').run(state, incarnation.key);
    incarnation.state = state;
  }

  setRouted(incarnation: Incarnation): void {
    this.#prepare('UPDATE incarnations SET routed = 1 WHERE incarnation = ?').run(incarnation.key);
    incarnation.routed = true;
  }

  setEpoch(incarnation: Incarnation, epoch: number): void {
    this.#prepare('UPDATE incarnations SET epoch = ? WHERE incarnation = ?').run(epoch, incarnation.key);
    incarnation.epoch = epoch;
  }

  /** Logged deletes of an incarnation that is to be forgotten go to the one that succeeded it. */
  inheritDeletions(from: Incarnation, to: Incarnation): void {
    this.#prepare('UPDATE deletions SET incarnation = ? WHERE incarnation = ?').run(to.key, from.key);
  }

  removeIncarnation(incarnation: Incarnation): void {
    for (const shard of this.shards(incarnation)) {
      this.rows.removeShard(shard.key);
      this.#prepare('DELETE FROM history WHERE shard_key = ?').run(shard.key);
    }
    this.#prepare('DELETE FROM shards WHERE incarnation = ?').run(incarnation.key);
    this.#prepare('DELETE FROM incarnations WHERE incarnation = ?').run(incarnation.key);
  }

  shards(incarnation: Incarnation): ShardState[] {
    const all = this.#prepare('SELECT * FROM shards WHERE incarnation = ? ORDER BY shard').all(incarnation.key) as StoredShard[];
    return all.map((s) => ({
      key: s.shard_key,
      shard: s.shard,
      historyUuid: s.history_uuid,
      checkpoint: s.checkpoint,
      owed: s.owed !== 0,
      rewritten: s.rewritten,
    }));
  }

  addShard(incarnation: Incarnation, shard: number, historyUuid: string): ShardState {
    const { lastInsertRowid } = this.#prepare(
      'INSERT INTO shards (incarnation, shard, history_uuid, checkpoint, owed, rewritten) VALUES (?, ?, ?, -1, 0, 0)',
    ).run(incarnation.key, shard, historyUuid);
    return { key: Number(lastInsertRowid), shard, historyUuid, checkpoint: -1, owed: false, rewritten: 0 };
  }

  /** Moves a shard's checkpoint; `sequence` is the highest stream sequence of what it covers, or 0 where nothing was published. */
  advance(shard: ShardState, next: Pick<ShardState, 'checkpoint' | 'owed' | 'rewritten'>, sequence: number): void {
    this.#prepare('UPDATE shards SET checkpoint = ?, owed = ?, rewritten = ? WHERE shard_key = ?').run(
      next.checkpoint,
      Number(next.owed),
      next.rewritten,
      shard.key,
    );
    if (sequence > 0) {
      this.#prepare(
        'INSERT INTO history (shard_key, stream_seq, checkpoint) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET checkpoint = excluded.checkpoint',
      ).run(shard.key, sequence, next.checkpoint);
    }
    Object.assign(shard, next);
  }

  /** Of an incarnation with custom routing they are kept for a day, whatever the consumers say: their documents may turn up elsewhere. */
  logDeletions(incarnation: Incarnation, deletions: readonly Deletion[], sequence: number, at: number): void {
    const insert = this.#prepare(
      'INSERT INTO deletions (stream_seq, incarnation, seq_no, id, routing, version, kept_until) VALUES (?, ?, ?, ?, ?, ?, ?)',
    );
    const keptUntil = incarnation.routed ? at + departedKeptMs : 0;
    for (const d of deletions) insert.run(sequence, incarnation.key, d.seqNo, d.id, d.routing ?? null, d.version, keptUntil);
  }

  /** Whether deletes are kept that a document of this incarnation may have to be compared with. */
  hasDeparted(incarnation: Incarnation): boolean {
    return (
      incarnation.routed &&
      this.#prepare('SELECT 1 FROM deletions WHERE incarnation = ? LIMIT 1').get(incarnation.key) !== undefined
    );
  }

  /** The highest version of a delete of this id that is kept; −1 for none. */
  departedVersion(incarnation: Incarnation, id: string): number {
    const found = this.#prepare(
      'SELECT coalesce(max(version), -1) AS version FROM deletions WHERE incarnation = ? AND id = ? AND kept_until > 0',
    );
    return (found.get(incarnation.key, id) as { version: number }).version;
  }

  /** Deletes that the stream took after `sequence`, by incarnation. */
  deletionsAfter(sequence: number): LostDeletions[] {
    const found = new Map<number, LostDeletions>(
      this.incarnations().map((i) => [i.key, { incarnation: i, deletions: [], rowids: [] }]),
    );
    const all = this.#prepare(
      `SELECT rowid, incarnation, seq_no, version, ${idsAsBytes} FROM deletions WHERE stream_seq > ? ORDER BY stream_seq`,
    ).all(sequence) as StoredDeletion[];
    for (const d of all) {
      const of = found.get(d.incarnation);
      of?.deletions.push({ seqNo: d.seq_no, ...idsOf(d), version: d.version });
      of?.rowids.push(d.rowid);
    }
    return [...found.values()].filter((of) => of.deletions.length > 0);
  }

  forgetDeletions(rowids: readonly number[]): void {
    const remove = this.#prepare('DELETE FROM deletions WHERE rowid = ?');
    for (const rowid of rowids) remove.run(rowid);
  }

  /** Puts every shard back to its newest checkpoint that lies at or below `sequence` in the stream. */
  goBack(sequence: number): void {
    this.#prepare('DELETE FROM history WHERE stream_seq > ?').run(sequence);
    this.#database.exec(`UPDATE shards SET owed = 1, checkpoint = coalesce(
      (SELECT h.checkpoint FROM history h WHERE h.shard_key = shards.shard_key ORDER BY h.stream_seq DESC LIMIT 1), -1)`);
  }

  /** Forgets what every consumer has acknowledged: all of the log up to `floor`, all of the history below its newest entry there. */
  trim(floor: number, now: number): void {
    this.#prepare('DELETE FROM deletions WHERE stream_seq <= ? AND kept_until < ?').run(floor, now);
    this.#prepare(
      `DELETE FROM history WHERE stream_seq < (SELECT max(n.stream_seq) FROM history n WHERE n.shard_key = history.shard_key AND n.stream_seq <= ?)`,
    ).run(floor);
    // Bounded even while nobody consumes: every other entry goes, the ends stay.
    this.#prepare(
      `DELETE FROM history WHERE (shard_key, stream_seq) IN (SELECT shard_key, stream_seq FROM (
         SELECT shard_key, stream_seq, row_number() OVER w AS at, count(*) OVER (PARTITION BY shard_key) AS n FROM history
         WINDOW w AS (PARTITION BY shard_key ORDER BY stream_seq)) WHERE n > ${historyPerShardMax} AND at % 2 = 0 AND at < n)`,
    ).run();
  }

  /** Index drops that a consumer may not have acknowledged: nothing of a new index of that name may be published before. */
  drops(): { name: string; version: number; sequence: number }[] {
    return this.#prepare('SELECT name, version, stream_seq AS sequence FROM drops').all() as {
      name: string;
      version: number;
      sequence: number;
    }[];
  }

  setDrop(name: string, version: number, sequence: number): void {
    this.#prepare('INSERT OR REPLACE INTO drops (name, version, stream_seq) VALUES (?, ?, ?)').run(name, version, sequence);
  }

  removeDrop(name: string): void {
    this.#prepare('DELETE FROM drops WHERE name = ?').run(name);
  }

  streamPosition(): StreamPosition | undefined {
    const text = this.meta('stream');
    return text === undefined ? undefined : (JSON.parse(text) as StreamPosition);
  }

  setStreamPosition(position: StreamPosition): void {
    this.setMeta('stream', JSON.stringify(position));
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
