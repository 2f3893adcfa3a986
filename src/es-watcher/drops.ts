import { succeededVersion } from '../core/version.ts';
import type { BatchChannel } from './channel.ts';
import type { Checkpoint, Incarnation } from './checkpoint.ts';
import { highestCheckpoint, type Incarnations } from './incarnations.ts';

type Parts = {
  checkpoint: Checkpoint;
  now: () => number;
  noteStored(sequence: number): void;
  acknowledgedThrough(): Promise<number>;
};

/**
 * Index deletes that go on to the target. Until every consumer has acknowledged one, nothing of a new index of that name may be published:
 * a drop that is carried out late would take the new documents with it.
 */
export class Drops {
  readonly #channel: BatchChannel;
  readonly #parts: Parts;
  readonly #incarnations: Incarnations;
  readonly #tenant: string;
  readonly #pending = new Map<string, number>();
  readonly #held = new Set<string>();

  constructor(channel: BatchChannel, parts: Parts, incarnations: Incarnations, tenant: string) {
    this.#channel = channel;
    this.#parts = parts;
    this.#incarnations = incarnations;
    this.#tenant = tenant;
    for (const drop of parts.checkpoint.drops()) this.#pending.set(drop.name, drop.sequence);
  }

  /** Names of new indices that wait for the drop of their predecessor. */
  get held(): string[] {
    return [...this.#held];
  }

  holds(name: string): boolean {
    const holds = this.#pending.has(name);
    if (holds) this.#held.add(name);
    else this.#held.delete(name);
    return holds;
  }

  async publish(incarnation: Incarnation): Promise<void> {
    const { checkpoint } = this.#parts;
    const version = succeededVersion(incarnation.epoch) + 2 * highestCheckpoint(checkpoint, incarnation) + 3;
    const drop = { tenant: this.#tenant, index: incarnation.name, version, ts: this.#parts.now() };
    const sequence = await this.#channel.emit({ events: [], drop, origin: `${incarnation.uuid}.${incarnation.epoch}.drop` });
    checkpoint.transaction(true, () => {
      checkpoint.setDrop(incarnation.name, version, sequence);
      for (const former of this.#incarnations.former(incarnation.name)) this.#incarnations.forget(former);
      this.#incarnations.forget(incarnation);
      this.#parts.noteStored(sequence);
    });
    this.#pending.set(incarnation.name, sequence);
  }

  /** Lets go of the names whose drop every consumer has acknowledged. */
  async release(): Promise<void> {
    if (this.#pending.size === 0) return;
    const through = await this.#parts.acknowledgedThrough();
    for (const [name, sequence] of this.#pending) {
      if (sequence > through) continue;
      this.#parts.checkpoint.transaction(true, () => this.#parts.checkpoint.removeDrop(name));
      this.#pending.delete(name);
      this.#held.delete(name);
    }
  }
}
