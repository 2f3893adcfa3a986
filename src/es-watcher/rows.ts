import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type DocumentSpans, idSpan, seqNoNumber, spansEach } from '../core/document-spans.ts';

/** A document's place: what the write-ahead list knows of it. */
export type Row = { seqNo: number; id: string; routing: string | undefined };
export type Range = { from: number; to: number };

/** Sequence numbers a block spans. Fixed: it is in the file's format. */
export const blockWidth = 4096;

/** Rows of one statement: half the CPU time of one at a time, and more bring nothing (measured). */
const rowsAtOnce = 50;

/** Node 24 reads text up to the first NUL only, and an id may hold one; bytes it reads whole. */
export const idsAsBytes = 'CAST(id AS BLOB) AS id, CAST(routing AS BLOB) AS routing';

export type IdsAsBytes = { id: Uint8Array; routing: Uint8Array | null };

export function idsOf({ id, routing }: IdsAsBytes): { id: string; routing: string | undefined } {
  return { id: textOf(id), routing: routing === null ? undefined : textOf(routing) };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}

type StoredRow = IdsAsBytes & { seq_no: number };

/** The write-ahead list and its counts. Every method runs inside the caller's transaction. */
export class Rows {
  readonly #insert: StatementSync;
  readonly #insertMany: StatementSync;
  readonly #insertDense: StatementSync;
  readonly #remove: StatementSync;
  readonly #count: StatementSync;
  readonly #blocks: StatementSync;
  readonly #select: StatementSync;
  readonly #sequence: StatementSync;
  readonly #removeShard: StatementSync;
  readonly #removeBlocks: StatementSync;
  readonly #countBlock: StatementSync;

  constructor(database: DatabaseSync) {
    const insert = (rows: number) =>
      database.prepare(
        `INSERT INTO rows (shard_key, seq_no, id, routing) VALUES ${Array.from({ length: rows }, () => '(?, ?, ?, ?)').join(', ')} ON CONFLICT DO NOTHING`,
      );
    this.#insert = insert(1);
    this.#insertMany = insert(rowsAtOnce);
    this.#insertDense = database.prepare('INSERT OR IGNORE INTO rows SELECT ?1, ?2 + key, value, NULL FROM json_each(?3)');
    this.#remove = database.prepare('DELETE FROM rows WHERE shard_key = ? AND seq_no = ?');
    this.#count = database.prepare(
      'INSERT INTO blocks (shard_key, block, rows) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows',
    );
    this.#blocks = database.prepare('SELECT block, rows FROM blocks WHERE shard_key = ? AND rows <> 0');
    this.#select = database.prepare(
      `SELECT seq_no, ${idsAsBytes} FROM rows WHERE shard_key = ? AND seq_no BETWEEN ? AND ? ORDER BY seq_no LIMIT ?`,
    );
    this.#sequence = database.prepare('SELECT seq_no FROM rows WHERE shard_key = ? AND seq_no BETWEEN ? AND ?');
    this.#sequence.setReturnArrays(true);
    this.#removeShard = database.prepare('DELETE FROM rows WHERE shard_key = ?');
    this.#removeBlocks = database.prepare('DELETE FROM blocks WHERE shard_key = ?');
    this.#countBlock = database.prepare(
      `INSERT INTO blocks (shard_key, block, rows)
       SELECT ?1, ?2, count(*) FROM rows WHERE shard_key = ?1 AND seq_no BETWEEN ?2 * ${blockWidth} AND ?2 * ${blockWidth} + ${blockWidth - 1}
       ON CONFLICT DO UPDATE SET rows = excluded.rows`,
    );
  }

  /** Documents of a page, in order of seq_no. One that is there already (read again after a crash) is left as it is. */
  appendPage(shardKey: number, page: DocumentSpans): void {
    const ids = idsAsJson(page);
    if (ids === undefined) {
      const rows = Array.from({ length: page.length }, (_, row) => ({
        seqNo: page.number(row, seqNoNumber),
        id: page.id(row),
        routing: page.routing(row),
      }));
      this.append(shardKey, rows);
      return;
    }
    const added = new Map<number, number>();
    const first = page.number(0, seqNoNumber);
    for (let seqNo = first; seqNo < first + page.length; seqNo++) tally(added, seqNo, 1);
    this.#tallyUp(shardKey, added, this.#insertDense.run(shardKey, first, ids).changes === page.length);
  }

  /** As `appendPage`, for rows of any kind. */
  append(shardKey: number, rows: readonly Row[]): void {
    const added = new Map<number, number>();
    let inserted = 0;
    const whole = rows.length - (rows.length % rowsAtOnce);
    const values: (number | string | null)[] = Array.from({ length: rowsAtOnce * 4 });
    for (let from = 0; from < whole; from += rowsAtOnce) {
      for (let n = 0, at = 0; n < rowsAtOnce; n++) {
        const { seqNo, id, routing } = rows[from + n]!;
        values[at++] = shardKey;
        values[at++] = seqNo;
        values[at++] = id;
        values[at++] = routing ?? null;
      }
      inserted += Number(this.#insertMany.run(...values).changes);
    }
    for (const { seqNo, id, routing } of rows.slice(whole)) {
      inserted += Number(this.#insert.run(shardKey, seqNo, id, routing ?? null).changes);
    }
    for (const { seqNo } of rows) tally(added, seqNo, 1);
    this.#tallyUp(shardKey, added, inserted === rows.length);
  }

  /** `allNew`: none of the rows was there before. */
  #tallyUp(shardKey: number, added: ReadonlyMap<number, number>, allNew: boolean): void {
    if (allNew) this.#recount(shardKey, added);
    else for (const block of added.keys()) this.#countBlock.run(shardKey, block);
  }

  remove(shardKey: number, sequenceNumbers: readonly number[]): void {
    const removed = new Map<number, number>();
    for (const seqNo of sequenceNumbers) {
      if (this.#remove.run(shardKey, seqNo).changes !== 0) tally(removed, seqNo, -1);
    }
    this.#recount(shardKey, removed);
  }

  removeShard(shardKey: number): void {
    this.#removeShard.run(shardKey);
    this.#removeBlocks.run(shardKey);
  }

  /** Rows per block: block number → rows; blocks without rows are left out. */
  blockCounts(shardKey: number): Map<number, number> {
    const counts = new Map<number, number>();
    for (const { block, rows } of this.#blocks.all(shardKey) as { block: number; rows: number }[]) counts.set(block, rows);
    return counts;
  }

  /** Bounded by the range's width: ask for a few thousand at a time. */
  sequenceNumbers(shardKey: number, range: Range): number[] {
    return (this.#sequence.all(shardKey, range.from, range.to) as unknown as [number][]).map(([seqNo]) => seqNo);
  }

  /** The rows with these sequence numbers, as far as they are there. */
  get(shardKey: number, sequenceNumbers: readonly number[]): Row[] {
    return sequenceNumbers.flatMap((seqNo) => this.list(shardKey, { from: seqNo, to: seqNo }, 1));
  }

  /** Rows of a range in order, at most `limit`. */
  list(shardKey: number, range: Range, limit: number): Row[] {
    return (this.#select.all(shardKey, range.from, range.to, limit) as StoredRow[]).map((row) => ({
      seqNo: row.seq_no,
      ...idsOf(row),
    }));
  }

  #recount(shardKey: number, changes: ReadonlyMap<number, number>): void {
    for (const [block, rows] of changes) this.#count.run(shardKey, block, rows);
  }
}

function tally(counts: Map<number, number>, seqNo: number, by: number): void {
  const block = Math.floor(seqNo / blockWidth);
  counts.set(block, (counts.get(block) ?? 0) + by);
}

/**
 * The ids as one JSON array, which SQLite takes apart itself in two thirds of the time that binding them takes (measured). Undefined for a page with
 * gaps, routings or escapes: SQLite ends a text at an escaped NUL.
 */
function idsAsJson(page: DocumentSpans): string | undefined {
  const { bytes, spans, length } = page;
  if (length === 0 || page.number(length - 1, seqNoNumber) - page.number(0, seqNoNumber) !== length - 1 || page.routed)
    return undefined;
  let size = 1;
  for (let at = idSpan; at < length * spansEach; at += spansEach) size += spans[at + 1]! - spans[at]! + 1;
  const text = Buffer.allocUnsafe(size);
  let next = 0;
  for (let at = idSpan; at < length * spansEach; at += spansEach) {
    text[next++] = next === 1 ? openingBracket : comma;
    for (let from = spans[at]!; from < spans[at + 1]!; from++) text[next++] = bytes[from]!;
  }
  text[next] = closingBracket;
  return text.includes(backslash) ? undefined : text.toString();
}
const openingBracket = 0x5b;
const closingBracket = 0x5d;
const comma = 0x2c;
const backslash = 0x5c;
