import { crc32 } from 'node:zlib';
import type { BufferPool } from '../core/buffer-pool.ts';
import type { ChangeList } from '../core/change-block.ts';
import { type DocumentSpans, numbersEach, seqNoNumber, versionNumber } from '../core/document-spans.ts';
import { GatewayError } from '../core/errors.ts';
import type { Slots } from '../core/slots.ts';
import { deleteVersion } from '../core/version.ts';
import { findIds, type Reader, searchPage, type ShardCopyAddress, shardStats } from '../elastic/index.ts';
import type { Checkpoint, Deletion, Incarnation, ShardState } from './checkpoint.ts';
import { deleteEventsOf, writeBlocksOf } from './events.ts';
import { findDifferences } from './missing.ts';
import type { Moves } from './moves.ts';
import { PageSize } from './page-size.ts';

/** What the followers of one cluster share. */
export type FollowContext = {
  reader: Reader;
  checkpoint: Checkpoint;
  tenant: string;
  /** Publishes; resolves with the highest stream sequence once the stream holds all of it (invariant 2). */
  emit: (events: ChangeList, origin: string) => Promise<number>;
  /** Pages in memory, of all shards together (invariant 8), and that memory. */
  pages: Slots;
  memory: BufferPool;
  pageDocumentsMax: number;
  pageBytesMax: number;
  now: () => number;
  signal: AbortSignal;
  /** To be called inside the transaction that moves a checkpoint. */
  noteStored(sequence: number): void;
  onPage?(index: string, documents: number, bytes: number): void;
  onLooked?(index: string, deletes: number, tookMs: number): void;
  onUnknown?(index: string, shard: number, documents: number): void;
};

/** The documents of `hits` stand in `body`. */
type Page = { hits: DocumentSpans; body: Buffer; upTo: number; release: () => void };

const deletesAtOnce = 10_000;
/** Rows that updates have left behind are looked for when there are this many, and a quarter of all. */
const rewrittenMin = 20_000;

/** Follows one shard: everything between the stored checkpoint and a global checkpoint, in order, then what is missing. */
export class ShardFollower {
  readonly state: ShardState;
  readonly #context: FollowContext;
  readonly #index: string;
  readonly #incarnation: Incarnation;
  readonly #size: PageSize;
  readonly #moves: Moves;
  #sequence = 0;

  constructor(context: FollowContext, incarnation: Incarnation, state: ShardState, resultWindowMax: number, moves: Moves) {
    this.#moves = moves;
    this.#context = context;
    this.#index = incarnation.name;
    this.#incarnation = incarnation;
    this.state = state;
    this.#size = new PageSize(context.pageBytesMax, Math.min(context.pageDocumentsMax, resultWindowMax));
  }

  /** Stable across restarts, different for every incarnation. */
  get origin(): string {
    return `${this.#incarnation.uuid}.${this.#incarnation.epoch}.${this.state.shard}`;
  }

  /**
   * Brings the shard from its checkpoint to `upTo`. Everything up to `upTo` must be visible to search on the primary at `node`.
   * Throws without harm: what was published is published again, what was committed stays.
   */
  async follow(upTo: number, node: string): Promise<void> {
    const copy: ShardCopyAddress = { index: this.#index, shard: this.state.shard, node };
    const backfill = this.state.checkpoint < 0;
    await this.#readThrough(copy, upTo, backfill);
    if (this.state.owed || this.#sweepDue()) await this.#lookForMissing(copy, upTo);
  }

  #sweepDue(): boolean {
    if (this.state.rewritten < rewrittenMin) return false;
    let rows = 0;
    for (const count of this.#context.checkpoint.rows.blockCounts(this.state.key).values()) rows += count;
    return this.state.rewritten * 4 > rows;
  }

  async #readThrough(copy: ShardCopyAddress, upTo: number, backfill: boolean): Promise<void> {
    let after = this.state.checkpoint;
    let settled: Promise<void> = Promise.resolve();
    let next = after < upTo ? this.#fetch(copy, after, upTo) : undefined;
    try {
      while (next !== undefined) {
        const page = await next;
        const operations = page.upTo - after;
        after = page.upTo;
        next = after < upTo ? this.#fetch(copy, after, upTo) : undefined;
        next?.catch(() => {});
        const stored = this.#publish(page);
        stored.catch(() => {});
        settled = settled.then(async () => this.#commit(page, operations, backfill, await stored));
        settled.catch(() => {});
      }
      await settled;
    } catch (error) {
      next?.then(
        (page) => page.release(),
        () => {},
      );
      // What was published before still moves the checkpoint, if the stream takes it.
      await settled.catch(() => {});
      throw error;
    }
  }

  async #fetch(copy: ShardCopyAddress, after: number, upTo: number): Promise<Page> {
    const release = await this.#context.pages.acquire();
    try {
      for (;;) {
        const size = Math.min(this.#size.documents, upTo - after);
        try {
          const answer = await searchPage(this.#context.reader, copy, {
            after,
            upTo,
            size,
            memory: this.#context.memory,
            ...(size > 1 ? { responseBytesMax: this.#size.responseBytesMax } : {}),
            signal: this.#context.signal,
          });
          const { hits, body } = answer;
          this.#size.learn(hits.length, body.length);
          return { hits, body, upTo: hits.length < size ? upTo : hits.number(hits.length - 1, seqNoNumber), release };
        } catch (error) {
          if (!(error instanceof GatewayError) || error.code !== 'RESPONSE_TOO_LARGE' || size === 1) throw error;
          this.#size.halve(size);
        }
      }
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Writes the page's rows ahead (D2, step 4), then publishes. */
  async #publish(page: Page): Promise<number> {
    try {
      let sequence = 0;
      if (page.hits.length > 0) {
        this.#context.checkpoint.transaction(true, () => this.#context.checkpoint.rows.appendPage(this.state.key, page.hits));
        this.#moves.admit(page.hits);
        const blocks = writeBlocksOf(this.#context, this.#incarnation, page.hits);
        sequence = Math.max(...(await Promise.all(blocks.map((block) => this.#context.emit(block, this.origin)))));
      }
      // Only now: what has failed may still be read by those who were to publish it.
      this.#context.memory.give(page.body);
      return sequence;
    } finally {
      page.release();
    }
  }

  #commit(page: Page, operations: number, backfill: boolean, sequence: number): void {
    const { checkpoint } = this.#context;
    const rewritten = this.state.rewritten + (backfill ? 0 : updatesIn(page.hits));
    this.#sequence = Math.max(this.#sequence, sequence);
    // Where there is custom routing, an update may have changed it, and what it was is only found by comparing.
    const rerouted = this.#incarnation.routed && rewritten > this.state.rewritten;
    const owed = this.state.owed || page.hits.length < operations || rerouted;
    checkpoint.transaction(false, () => {
      checkpoint.advance(this.state, { checkpoint: page.upTo, owed, rewritten }, this.#sequence);
      this.#context.noteStored(this.#sequence);
    });
    this.#context.onPage?.(this.#index, page.hits.length, page.hits.sourceBytesOf(0, page.hits.length));
  }

  /** D2, step 5. Everything up to `upTo` is in the list and visible. */
  async #lookForMissing(copy: ShardCopyAddress, upTo: number): Promise<void> {
    const startedAt = performance.now();
    const { checkpoint, reader, signal } = this.#context;
    let deletes = 0;
    for await (const found of findDifferences({ reader, copy, rows: checkpoint.rows, shardKey: this.state.key, upTo, signal })) {
      if (found.unknown.length > 0) await this.#readUnknown(copy, found.unknown);
      for (let at = 0; at < found.missing.length; at += deletesAtOnce) {
        deletes += await this.#settleMissing(copy, upTo, found.missing.slice(at, at + deletesAtOnce));
      }
    }
    checkpoint.transaction(false, () =>
      checkpoint.advance(this.state, { checkpoint: this.state.checkpoint, owed: false, rewritten: 0 }, 0),
    );
    this.#context.onLooked?.(this.#index, deletes, performance.now() - startedAt);
  }

  /** Of each document, the newest row decides; the cluster says whether it is gone, stands elsewhere, or has changed since. */
  async #settleMissing(copy: ShardCopyAddress, upTo: number, missing: readonly number[]): Promise<number> {
    const { checkpoint, reader, signal } = this.#context;
    const gone = Map.groupBy(checkpoint.rows.get(this.state.key, missing), (row) => row.id);
    const found = await findIds(reader, copy, [...gone.keys()], signal);
    await this.#requireSameIndex();
    // Not before the answer: another shard may have raised the epoch and published a document that it still saw here.
    const { epoch } = this.#incarnation;
    const settled: number[] = [];
    const deletions: Deletion[] = [];
    const overwritten: number[] = [];
    for (const [id, rows] of gone) {
      const newest = rows.reduce((a, b) => (a.seqNo > b.seqNo ? a : b));
      const seqNo = found.get(id);
      // Changed since: its row stays until the change is seen, for it may be deleted before that.
      if (seqNo === undefined || seqNo <= upTo) settled.push(newest.seqNo);
      if (seqNo === undefined) deletions.push({ seqNo: upTo, id, routing: newest.routing, version: deleteVersion(epoch, upTo) });
      const standing = seqNo === undefined || seqNo > upTo ? newest : checkpoint.rows.get(this.state.key, [seqNo])[0];
      for (const row of rows) {
        if (row !== newest) settled.push(row.seqNo);
        // Under another routing it may lie on another shard of the target, where nothing of its successor overwrites it.
        if (row.routing === standing?.routing) continue;
        deletions.push({ seqNo: row.seqNo, id, routing: row.routing, version: deleteVersion(epoch, row.seqNo) });
        if (standing !== undefined && standing !== newest) overwritten.push(standing.seqNo);
      }
    }
    deletions.sort((a, b) => a.version - b.version);
    const sequence = deletions.length === 0 ? 0 : await this.#publishDeletes(copy, upTo, deletions, overwritten);
    this.#sequence = Math.max(this.#sequence, sequence);
    checkpoint.transaction(false, () => {
      checkpoint.rows.remove(this.state.key, settled);
      checkpoint.logDeletions(this.#incarnation, deletions, this.#sequence, this.#context.now());
      if (sequence > 0) this.#context.noteStored(this.#sequence);
    });
    this.#moves.settled(deletions);
    return deletions.length;
  }

  /** Searches go by name: what was answered counts only if the index was not created anew or restored by then. */
  async #requireSameIndex(): Promise<void> {
    const { reader, signal } = this.#context;
    const now = (await shardStats(reader.client, [this.#index], { signal })).indices.get(this.#index);
    if (now?.uuid === this.#incarnation.uuid && now.shards.get(this.state.shard)?.historyUuid === this.state.historyUuid) return;
    throw new GatewayError('INDEX_REPLACED', `the index ${this.#index} was replaced while its deletes were looked for`, {
      transient: true,
    });
  }

  /**
   * Deletes, and after them the documents that stand in spite of them: those that have moved to other shards, and those here that were
   * `overwritten` under another routing. Told again they have versions above the deletes, whatever epoch they were first told under.
   */
  async #publishDeletes(
    copy: ShardCopyAddress,
    upTo: number,
    deletions: readonly Deletion[],
    overwritten: readonly number[],
  ): Promise<number> {
    const standing = await this.#moves.depart(this.state.shard, upTo, deletions);
    const { emit, reader, signal } = this.#context;
    const incarnation = { ...this.#incarnation };
    for (const seqNo of overwritten) {
      const { hits } = await searchPage(reader, copy, { after: seqNo - 1, upTo: seqNo, size: 1, signal });
      for (const block of writeBlocksOf(this.#context, incarnation, hits)) standing.push(...block);
    }
    const sequence = await emit(deleteEventsOf(this.#context, this.#index, deletions), this.origin);
    if (standing.length === 0) return sequence;
    // Message ids name ranges of one shard's operations; these are picked from several.
    const picked = crc32(standing.map(({ id, version }) => `${version} ${id}`).join('\n')).toString(16);
    return emit(standing, `${this.origin}.moved.${picked}`);
  }

  /** The cluster holds documents that were read but are not in the list: an assumption is broken, and they are read as if new. */
  async #readUnknown(copy: ShardCopyAddress, unknown: readonly number[]): Promise<void> {
    this.#context.onUnknown?.(this.#index, this.state.shard, unknown.length);
    for (let at = 0; at < unknown.length;) {
      let end = at + 1;
      while (end < unknown.length && unknown[end] === unknown[end - 1]! + 1) end++;
      for (let after = unknown[at]! - 1; after < unknown[end - 1]!;) {
        const page = await this.#fetch(copy, after, unknown[end - 1]!);
        after = page.upTo;
        this.#sequence = Math.max(this.#sequence, await this.#publish(page));
      }
      at = end;
    }
  }
}

function updatesIn({ numbers, length }: DocumentSpans): number {
  let updates = 0;
  for (let at = versionNumber; at < length * numbersEach; at += numbersEach) if (numbers[at]! > 1) updates++;
  return updates;
}
