import { GatewayError } from '../core/errors.ts';
import { succeededVersion } from '../core/version.ts';
import { findIds, shardStats } from '../elastic/index.ts';
import type { Deletion, Incarnation } from './checkpoint.ts';
import { deleteEventsOf } from './events.ts';
import type { FollowedIndex } from './followed-index.ts';
import type { Incarnations } from './incarnations.ts';
import type { Row } from './rows.ts';
import type { FollowContext } from './shard.ts';

export type SuccessionEvents = {
  onTrouble?(about: string, error: unknown): void;
  onNotice?(message: string, fields: Record<string, unknown>): void;
};

const rowsAtOnce = 5_000;

/**
 * Deletes at the target what a former incarnation of an index had and the present one lacks. The version lies below everything of the
 * present one, so a delete too many is harmless: the document's own write wins, whichever comes first.
 */
export class Succession {
  readonly #context: FollowContext;
  readonly #incarnations: Incarnations;
  readonly #events: {
    onTrouble?(about: string, error: unknown): void;
    onNotice?(message: string, fields: Record<string, unknown>): void;
  };
  readonly #running = new Map<string, Promise<void>>();

  constructor(context: FollowContext, incarnations: Incarnations, events: SuccessionEvents) {
    this.#context = context;
    this.#incarnations = incarnations;
    this.#events = events;
  }

  get idle(): Promise<unknown> {
    return Promise.all(this.#running.values());
  }

  /** `ready` are indices that have been read once: before that, the target would be emptied before it is filled. */
  advance(ready: readonly FollowedIndex[]): void {
    const names = new Set(this.#incarnations.namesWithFormer());
    if (names.size === 0) return;
    for (const present of ready) {
      const { name } = present.incarnation;
      if (!names.has(name) || this.#running.has(name)) continue;
      const task = this.#succeed(name, present)
        .catch((error: unknown) => {
          if (!this.#context.signal.aborted) this.#events.onTrouble?.(name, error);
        })
        .finally(() => this.#running.delete(name));
      this.#running.set(name, task);
    }
  }

  async #succeed(name: string, present: FollowedIndex): Promise<void> {
    for (const former of this.#incarnations.former(name)) {
      if (former.state !== 'former') continue;
      let deletes = 0;
      for (const shard of this.#context.checkpoint.shards(former)) {
        for (let after = -1; ;) {
          const rows = this.#context.checkpoint.rows.list(
            shard.key,
            { from: after + 1, to: Number.MAX_SAFE_INTEGER },
            rowsAtOnce,
          );
          if (rows.length === 0) break;
          after = rows.at(-1)!.seqNo;
          deletes += await this.#settle(former, present, rows);
        }
      }
      // Only now: until all of its deletes are in the stream, a restart begins this again.
      this.#context.checkpoint.transaction(true, () => {
        this.#context.checkpoint.inheritDeletions(former, present.incarnation);
        this.#incarnations.forget(former);
      });
      this.#events.onNotice?.('what a former incarnation of an index left behind is deleted', {
        index: name,
        documents: deletes,
      });
    }
  }

  async #settle(former: Incarnation, present: FollowedIndex, rows: readonly Row[]): Promise<number> {
    const { epoch } = present.incarnation;
    const standing = await this.#standing(present, [
      ...new Set(rows.filter((row) => row.routing === undefined).map((row) => row.id)),
    ]);
    const gone = new Map<string, Deletion>();
    for (const { id, routing, seqNo } of rows) {
      // With custom routing, the same id may have lain on another shard of the target: its delete is always sent.
      if (routing === undefined && standing.has(id)) continue;
      gone.set(JSON.stringify([id, routing]), { seqNo, id, routing, version: succeededVersion(epoch) });
    }
    const deletions = [...gone.values()];
    if (deletions.length === 0) return 0;
    const { checkpoint } = this.#context;
    const origin = `${former.uuid}.${epoch}.former`;
    const sequence = await this.#context.emit(deleteEventsOf(this.#context, former.name, deletions), origin);
    checkpoint.transaction(false, () => {
      checkpoint.logDeletions(present.incarnation, deletions, sequence, this.#context.now());
      this.#context.noteStored(sequence);
    });
    return deletions.length;
  }

  /** Which of the ids the present incarnation has, on any shard, and has read. */
  async #standing(present: FollowedIndex, ids: readonly string[]): Promise<Set<string>> {
    const found = new Set<string>();
    if (ids.length === 0) return found;
    const { checkpoint, reader, signal } = this.#context;
    const { name } = present.incarnation;
    const stats = (await shardStats(reader.client, [name], { signal })).indices.get(name);
    if (stats === undefined || stats.shards.size < present.facts.shards) {
      throw new GatewayError('ES_UNAVAILABLE', `not every shard of ${name} has a started primary`, { transient: true });
    }
    for (const [shard, primary] of stats.shards) {
      const key = present.keyOf(shard);
      const standing = await findIds(reader, { index: name, shard, node: primary.node }, ids, signal);
      for (const [id, seqNo] of standing) {
        // What is visible and not yet read may be gone before it is read: then nobody would know of a delete.
        if (key !== undefined && checkpoint.rows.get(key, [seqNo])[0]?.id === id) found.add(id);
      }
    }
    return found;
  }
}
