import { succeededVersion } from '../core/version.ts';
import type { IndexFacts } from '../elastic/index.ts';
import type { Checkpoint, Incarnation } from './checkpoint.ts';

/**
 * Which incarnation of an index is followed (D2, *Index life*). A first one has the index's creation time as its epoch, so that a lost
 * checkpoint finds the same versions again; so has an index that was created anew. Where the creation time says nothing (restored from a
 * snapshot, history rolled back), the epoch is now.
 */
export class Incarnations {
  readonly #checkpoint: Checkpoint;
  readonly #now: () => number;
  readonly #live = new Map<string, Incarnation>();
  readonly #others: Incarnation[] = [];

  constructor(checkpoint: Checkpoint, now: () => number) {
    this.#checkpoint = checkpoint;
    this.#now = now;
    for (const incarnation of checkpoint.incarnations()) {
      if (incarnation.state === 'live') this.#live.set(incarnation.name, incarnation);
      else this.#others.push(incarnation);
    }
  }

  live(name: string): Incarnation | undefined {
    return this.#live.get(name);
  }

  names(): string[] {
    return [...this.#live.keys()];
  }

  /** Incarnations of this name whose documents may still be at the target. */
  former(name: string): Incarnation[] {
    return this.#others.filter((incarnation) => incarnation.name === name);
  }

  namesWithFormer(): string[] {
    return [...new Set(this.#others.filter((i) => i.state === 'former').map((i) => i.name))];
  }

  /** The incarnation to follow for an index as the cluster has it now. */
  resolve(facts: Pick<IndexFacts, 'name' | 'uuid' | 'createdAt'>): Incarnation {
    const live = this.#live.get(facts.name);
    if (live !== undefined && live.uuid === facts.uuid) return live;
    if (live === undefined) {
      const returned = this.#others.find((i) => i.name === facts.name && i.uuid === facts.uuid && i.state === 'gone');
      if (returned !== undefined) return this.#revive(returned);
    }
    return this.succeed(facts);
  }

  /** Begins a new incarnation; the present one, and all that are gone, become its predecessors. */
  succeed(facts: Pick<IndexFacts, 'name' | 'uuid' | 'createdAt'>): Incarnation {
    const live = this.#live.get(facts.name);
    const before = [...this.former(facts.name), ...(live === undefined ? [] : [live])];
    const epoch = this.#epochAfter(before, facts);
    return this.#checkpoint.transaction(true, () => {
      for (const incarnation of before) this.#checkpoint.setState(incarnation, 'former');
      if (live !== undefined) this.#others.push(live);
      const born = this.#checkpoint.addIncarnation(facts.name, facts.uuid, epoch);
      this.#live.set(facts.name, born);
      return born;
    });
  }

  /** The index is no longer in the cluster: its documents are remembered, in case it comes back. */
  leave(incarnation: Incarnation): void {
    this.#checkpoint.transaction(true, () => this.#checkpoint.setState(incarnation, 'gone'));
    this.#live.delete(incarnation.name);
    this.#others.push(incarnation);
  }

  /** Nothing of it is at the target any more. Runs inside the caller's transaction. */
  forget(incarnation: Incarnation): void {
    this.#checkpoint.removeIncarnation(incarnation);
    const at = this.#others.indexOf(incarnation);
    if (at >= 0) this.#others.splice(at, 1);
    else this.#live.delete(incarnation.name);
  }

  #revive(incarnation: Incarnation): Incarnation {
    this.#checkpoint.transaction(true, () => this.#checkpoint.setState(incarnation, 'live'));
    this.#others.splice(this.#others.indexOf(incarnation), 1);
    this.#live.set(incarnation.name, incarnation);
    return incarnation;
  }

  #epochAfter(before: readonly Incarnation[], facts: Pick<IndexFacts, 'uuid' | 'createdAt'>): number {
    let epoch = facts.createdAt;
    const known = before.some((incarnation) => incarnation.uuid === facts.uuid || incarnation.epoch >= facts.createdAt);
    if (known) epoch = this.#now();
    for (const incarnation of before) {
      // Above the last version that the predecessor can have given out, delete included.
      const highest = highestCheckpoint(this.#checkpoint, incarnation);
      while (succeededVersion(epoch) <= succeededVersion(incarnation.epoch) + 2 * highest + 4)
        epoch = this.#raised(incarnation, highest, epoch);
    }
    return epoch;
  }

  #raised(incarnation: Incarnation, highest: number, epoch: number): number {
    return Math.max(epoch + 1, incarnation.epoch + Math.ceil((2 * highest + 4) / 2048));
  }
}

/** Of all its shards; -1 before anything of it is read. */
export function highestCheckpoint(checkpoint: Checkpoint, incarnation: Incarnation): number {
  return Math.max(-1, ...checkpoint.shards(incarnation).map((shard) => shard.checkpoint));
}
