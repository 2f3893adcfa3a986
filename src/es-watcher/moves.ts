import { type DocumentSpans, seqNoNumber } from '../core/document-spans.ts';
import type { ChangeEvent } from '../core/event.ts';
import { deleteVersion, epochAbove, writeVersion } from '../core/version.ts';
import { findIds, searchPage } from '../elastic/index.ts';
import type { Deletion, Incarnation } from './checkpoint.ts';
import { writeBlocksOf } from './events.ts';
import type { FollowContext } from './shard.ts';

/** A shard as last seen: its key in the checkpoint, and the node of its primary. */
export type ShardPlace = { shard: number; key: number; node: string };

/**
 * A document that is deleted under one routing and indexed under another moves to another shard, and versions of two shards say nothing
 * of each other: where the target keeps both routings on one shard, the delete could win over the newer document (D4, second hole).
 * Where that can happen the incarnation's epoch is raised above the delete. Nothing is read again for it: versions only ever rise.
 *
 * It concerns indices in which some document has custom routing, from the first such document on. Two ways to notice, and between them no gap: a delete looks for its document on the other shards after it is noted here, and a document
 * that is read looks for a delete noted here.
 */
export class Moves {
  readonly #context: FollowContext;
  readonly #incarnation: Incarnation;
  readonly #shards: () => readonly ShardPlace[];
  /** Deletes that are noted and not yet in the checkpoint's log. */
  readonly #departing = new Map<string, number>();
  #anyDeparted: boolean;

  constructor(context: FollowContext, incarnation: Incarnation, shards: () => readonly ShardPlace[]) {
    this.#context = context;
    this.#incarnation = incarnation;
    this.#shards = shards;
    this.#anyDeparted = context.checkpoint.hasDeparted(incarnation);
  }

  /** To be called before events are made of documents: raises the epoch where one of them would lie below a delete of its id. */
  admit(hits: DocumentSpans): void {
    const { checkpoint } = this.#context;
    if (!this.#incarnation.routed) {
      if (!hits.routed) return;
      checkpoint.transaction(true, () => checkpoint.setRouted(this.#incarnation));
    }
    if (!this.#anyDeparted) return;
    for (let row = 0; row < hits.length; row++) {
      const id = hits.id(row);
      const deleted = Math.max(this.#departing.get(id) ?? -1, checkpoint.departedVersion(this.#incarnation, id));
      if (deleted >= writeVersion(this.#incarnation.epoch, hits.number(row, seqNoNumber))) this.#raiseAbove(deleted);
    }
  }

  /**
   * To be called with the deletes of one shard before they are published; `settled` once they are in the log. Resolves with the documents
   * of the same ids that stand on other shards, to be published after them.
   */
  async depart(shard: number, upTo: number, deletions: readonly Deletion[]): Promise<ChangeEvent[]> {
    if (!this.#incarnation.routed) return [];
    this.#anyDeparted = true;
    for (const { id, version } of deletions) this.#departing.set(id, Math.max(version, this.#departing.get(id) ?? -1));
    const ids = [...new Set(deletions.map((deletion) => deletion.id))];
    const { checkpoint, reader, signal } = this.#context;
    const standing: ChangeEvent[] = [];
    for (const { shard: other, key, node } of this.#shards()) {
      if (other === shard) continue;
      const copy = { index: this.#incarnation.name, shard: other, node };
      const found = await findIds(reader, copy, ids, signal);
      if (found.size === 0) continue;
      // First the epoch, then the document: whatever is read of it from now on has the higher version. And no later epoch than that one: the
      // document's own shard may find it deleted meanwhile, and its delete must win.
      this.#raiseAbove(deleteVersion(this.#incarnation.epoch, upTo));
      const incarnation = { ...this.#incarnation };
      for (const [id, seqNo] of found) {
        // Not read by its shard yet, and so in no list: when it is, it will find the delete noted here. Published now, it might be deleted
        // before its shard has seen it, and nobody would know.
        if (checkpoint.rows.get(key, [seqNo])[0]?.id !== id) continue;
        // None when it has changed meanwhile: its shard will come upon it.
        const { hits } = await searchPage(reader, copy, { after: seqNo - 1, upTo: seqNo, size: 1, signal });
        for (const block of writeBlocksOf(this.#context, incarnation, hits)) standing.push(...block);
      }
    }
    return standing;
  }

  settled(deletions: readonly Deletion[]): void {
    for (const { id } of deletions) this.#departing.delete(id);
  }

  #raiseAbove(version: number): void {
    const epoch = epochAbove(version);
    if (epoch <= this.#incarnation.epoch) return;
    const { checkpoint } = this.#context;
    checkpoint.transaction(true, () => checkpoint.setEpoch(this.#incarnation, epoch));
  }
}
