import { pause } from '../core/backoff.ts';
import { decodeDrop } from '../core/drop.ts';
import { describeError, GatewayError } from '../core/errors.ts';
import type { IndexDrop } from '../core/event.ts';
import type { Delivery, Message, Refusal } from '../core/strategy.ts';
import { type ElasticClient, ElasticError, indexPath } from '../elastic/index.ts';
import type { Undeliverable } from '../jetstream/index.ts';
import type { IndexNames } from '../core/index-names.ts';

export type DropsParts = {
  client: ElasticClient;
  names: IndexNames;
  /** True when every message before this sequence is acknowledged, as far as the consumer takes it. */
  allBefore: (sequence: number) => Promise<boolean>;
  deadLetter: (letter: Undeliverable, message: Message, refusal: Refusal) => Promise<void>;
  onDropped: (drop: IndexDrop, target: string) => void;
  onTrouble: (error: unknown) => void;
  everyMs: number;
  workingEveryMs: number;
};

/** Names that an index can have at all; everything else could name several indices, or none. */
const indexName = /^(?![-_+])(?!\.{1,2}$)[^\\/*?"<>|\s,#:\p{Cc}]{1,255}$/u;

/**
 * Carries out the ends of indices (`es.{tenant}.{index}.drop`). One waits until everything before it in the stream is acknowledged: the target's
 * index must not be made again by a write that comes after. Nothing of a new index of that name is published until it is acknowledged
 * itself. Other messages do not wait for it.
 */
export class Drops {
  readonly #parts: DropsParts;
  readonly #waiting = new Set<Delivery>();
  readonly #stopping = new AbortController();
  #work: Promise<void> | undefined;

  constructor(parts: DropsParts) {
    this.#parts = parts;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes a message that is a drop; its fate is settled here. */
  take(delivery: Delivery): boolean {
    if (!/^[^.]+\.[^.]+\.[^.]+\.drop$/.test(delivery.message.subject)) return false;
    this.#waiting.add(delivery);
    this.#work ??= this.#run().finally(() => (this.#work = undefined));
    return true;
  }

  /** Gives back what waits. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#work;
    for (const delivery of this.#waiting) delivery.retryLater(0);
    this.#waiting.clear();
  }

  async #run(): Promise<void> {
    let workedAt = Date.now();
    while (this.#waiting.size > 0 && !this.#stopping.signal.aborted) {
      const first = [...this.#waiting].reduce((a, b) => (a.message.sequence <= b.message.sequence ? a : b));
      try {
        if (await this.#parts.allBefore(first.message.sequence)) {
          await this.#carryOut(first.message);
          this.#waiting.delete(first);
          await first.ack();
          continue;
        }
      } catch (error) {
        this.#parts.onTrouble(error);
      }
      await pause(this.#parts.everyMs, this.#stopping.signal);
      if (Date.now() - workedAt < this.#parts.workingEveryMs) continue;
      workedAt = Date.now();
      for (const delivery of this.#waiting) delivery.working();
    }
  }

  async #carryOut(message: Message): Promise<void> {
    let drop: IndexDrop;
    try {
      drop = decodeDrop(message.payload);
    } catch (error) {
      const type = error instanceof GatewayError ? error.code : 'UNREADABLE';
      await this.#parts.deadLetter({ is: 'unreadable' }, message, { status: 0, type, reason: describeError(error) });
      return;
    }
    const target = this.#parts.names.target(drop.index);
    const refusal = await this.#delete(target.name, target.shared);
    if (refusal === undefined) this.#parts.onDropped(drop, target.name);
    else await this.#parts.deadLetter({ is: 'drop', drop, targetIndex: target.name }, message, refusal);
  }

  /** Undefined when the index is gone. Throws what may pass, and 401 and 403: those are for a person, and it is tried again. */
  async #delete(index: string, shared: boolean): Promise<Refusal | undefined> {
    if (!indexName.test(index))
      return { status: 0, type: 'index_name_invalid', reason: `${JSON.stringify(index)} is not the name of one index` };
    if (shared) {
      const reason = `by --rename other indices are written to ${index} too: delete what is to go by hand`;
      return { status: 0, type: 'index_shared', reason };
    }
    try {
      await this.#parts.client.ok({
        method: 'DELETE',
        path: indexPath(index),
        query: { expand_wildcards: 'none' },
        needs: 'the index privilege `delete_index`',
      });
      return undefined;
    } catch (error) {
      if (!(error instanceof ElasticError) || error.transient || error.status === 401 || error.status === 403) throw error;
      if (error.status === 404) return undefined;
      return { status: error.status, type: error.type, reason: error.reason };
    }
  }
}
