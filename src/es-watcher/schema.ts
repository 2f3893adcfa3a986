import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GatewayError } from '../core/errors.ts';

export const memoryPath = ':memory:';
const fileName = 'checkpoint.db';
const schemaVersion = 1;

/**
 * `rows` is the write-ahead list of what the stream may hold: (shard, seq_no) → document. It is only ever appended in order of seq_no,
 * which is what makes it fast; finding a document by its id is left to the cluster, which has an index for that.
 * `blocks` counts the rows of every 4,096 sequence numbers, so that comparing with the cluster needs no scan.
 * `deletions` are deletes that the stream took and a consumer may not have seen, or whose document may turn up on another shard; `history` says which checkpoint belongs to which
 * stream sequence. Both are for a stream that is lost or rolled back.
 */
const tables = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE incarnations (incarnation INTEGER PRIMARY KEY, name TEXT NOT NULL, uuid TEXT NOT NULL, epoch INTEGER NOT NULL, state TEXT NOT NULL,
  routed INTEGER NOT NULL);
CREATE TABLE shards (
  shard_key INTEGER PRIMARY KEY, incarnation INTEGER NOT NULL, shard INTEGER NOT NULL, history_uuid TEXT NOT NULL,
  checkpoint INTEGER NOT NULL, owed INTEGER NOT NULL, rewritten INTEGER NOT NULL, UNIQUE (incarnation, shard));
CREATE TABLE rows (shard_key INTEGER NOT NULL, seq_no INTEGER NOT NULL, id TEXT NOT NULL, routing TEXT, PRIMARY KEY (shard_key, seq_no)) WITHOUT ROWID;
CREATE TABLE blocks (shard_key INTEGER NOT NULL, block INTEGER NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (shard_key, block)) WITHOUT ROWID;
CREATE TABLE deletions (
  stream_seq INTEGER NOT NULL, incarnation INTEGER NOT NULL, seq_no INTEGER NOT NULL, id TEXT NOT NULL, routing TEXT, version INTEGER NOT NULL,
  kept_until INTEGER NOT NULL);
CREATE INDEX deletions_by_stream ON deletions (stream_seq);
CREATE INDEX deletions_by_id ON deletions (incarnation, id) WHERE kept_until > 0;
CREATE TABLE drops (name TEXT PRIMARY KEY, version INTEGER NOT NULL, stream_seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE history (shard_key INTEGER NOT NULL, stream_seq INTEGER NOT NULL, checkpoint INTEGER NOT NULL, PRIMARY KEY (shard_key, stream_seq)) WITHOUT ROWID;
PRAGMA user_version = ${schemaVersion};
`;

/** The list is appended to in order, and what is looked up is in the system's own cache. */
const cacheBytes = 4 * 1024 * 1024;

/** Opens or creates the database in the directory `path`, held for this process alone. Throws CHECKPOINT_* with what to do. */
export function openDatabase(path: string): DatabaseSync {
  const file = path === memoryPath ? memoryPath : join(path, fileName);
  let database: DatabaseSync | undefined;
  try {
    if (file !== memoryPath) makeDirectory(resolve(path));
    // No waiting for a lock: whoever has it is another watcher and keeps it.
    database = new DatabaseSync(file, { timeout: 0 });
    // Exclusive: a second watcher on the same directory is turned away, and the lock goes with the process however it ends.
    database.exec(
      `PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -${cacheBytes / 1024};`,
    );
    database.exec('BEGIN IMMEDIATE');
    prepareTables(database, path);
    database.exec('COMMIT');
    return database;
  } catch (error) {
    database?.close();
    throw explainDatabaseError(error, path);
  }
}

/** Step by step: `recursive` does not end where a directory cannot be made below one that is there. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path));
  mkdirSync(path);
}

function prepareTables(database: DatabaseSync, path: string): void {
  const found = (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
  if (found === schemaVersion) return;
  if (found > schemaVersion) {
    throw new GatewayError(
      'CHECKPOINT_NEWER',
      `the checkpoint in ${path} has format ${found}; this program reads up to ${schemaVersion}`,
      {
        hint: 'run the newer es-watcher, or give --checkpoint-path (CHECKPOINT_PATH) an empty directory to read everything again',
      },
    );
  }
  const others = database.prepare("SELECT count(*) AS n FROM sqlite_master WHERE type = 'table'").get() as { n: number };
  if (others.n > 0) {
    throw new GatewayError('CHECKPOINT_FOREIGN', `${join(path, fileName)} is a database, but not an es-watcher checkpoint`, {
      hint: 'give --checkpoint-path (CHECKPOINT_PATH) a directory of its own',
    });
  }
  database.exec(tables);
}

/** SQLite's and the file system's words, made into ours. */
export function explainDatabaseError(error: unknown, path: string): unknown {
  if (error instanceof GatewayError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const code = (error as { code?: string }).code ?? '';
  const setting = '--checkpoint-path (CHECKPOINT_PATH)';
  if (/locked|busy/i.test(text)) {
    return new GatewayError('CHECKPOINT_IN_USE', `another es-watcher is using the checkpoint in ${path}`, {
      hint: `stop it, or give this one a ${setting} of its own`,
      cause: error,
    });
  }
  if (/not a database|malformed|corrupt/i.test(text)) {
    return new GatewayError('CHECKPOINT_CORRUPT', `the checkpoint in ${path} is damaged: ${text}`, {
      hint: `restore it, or empty the directory: everything is then read again from the start, and deletes made meanwhile need a comparison of both sides`,
      cause: error,
    });
  }
  if (/full|ENOSPC/i.test(text)) {
    return new GatewayError('CHECKPOINT_FULL', `the disk that holds the checkpoint ${path} is full`, {
      hint: `make room or move ${setting}; the watcher goes on by itself where it stopped`,
      transient: true,
      cause: error,
    });
  }
  if (/readonly|read-only|unable to open|ENOENT|EACCES|EROFS|EPERM|ENOTDIR|EEXIST/i.test(text) || code === 'EACCES') {
    return new GatewayError('CHECKPOINT_UNWRITABLE', `the checkpoint directory ${path} cannot be written: ${text}`, {
      hint: `make it writable for this user, or set ${setting} to a directory that is (":memory:" keeps none)`,
      cause: error,
    });
  }
  return error;
}
