import { describeError, GatewayError } from '../core/errors.ts';
import type { Outcome, Writer } from '../core/strategy.ts';
import type { LateWrites } from './late.ts';
import type { WriteItem } from './open.ts';

export type TargetParts = {
  writer: Writer;
  late: LateWrites;
  /** Finds out how long the targets of these indices of the source remember deletes; `late` depends on it. Cheap when that is known. */
  prepare: (indices: ReadonlySet<string>) => Promise<void>;
  hosts: readonly string[];
  onOutcomes: (items: readonly WriteItem[], outcomes: readonly Outcome[]) => void;
  onLate: (late: { written: number; stale: number }) => void;
};

/** Delivers batches of changes to the target: what is late is looked at first, what cannot be written is refused. */
export class Target {
  readonly #parts: TargetParts;

  constructor(parts: TargetParts) {
    this.#parts = parts;
  }

  /**
   * One outcome an item. Throws what concerns the whole target and is for a person or for time to mend, so that nothing of it is taken for the
   * fault of a document: unreachable, 401, 403, TLS.
   */
  async deliver(items: readonly WriteItem[]): Promise<Outcome[]> {
    const indices = new Set<string>();
    for (const { event } of items) indices.add(event.index);
    await this.#parts.prepare(indices);
    const asUsual = items.every((item) => item.refusal === undefined && !this.#parts.late.isLate(item));
    const outcomes = asUsual ? await this.#write(items) : await this.#sortAndWrite(items);
    this.#parts.onOutcomes(items, outcomes);
    this.#throwIfWhole(outcomes);
    return outcomes;
  }

  async #write(items: readonly WriteItem[]): Promise<Outcome[]> {
    const outcomes = await this.#parts.writer.write(items.map((item) => item.event));
    for (const [at, outcome] of outcomes.entries()) if (outcome.is === 'refused') outcomes[at] = allowed(outcome);
    return outcomes;
  }

  async #sortAndWrite(items: readonly WriteItem[]): Promise<Outcome[]> {
    const settled = new Map<WriteItem, Outcome>();
    for (const item of items) if (item.refusal !== undefined) settled.set(item, { is: 'refused', refusal: item.refusal });
    await this.#settleLate(
      items.filter((item) => !settled.has(item) && this.#parts.late.isLate(item)),
      settled,
    );
    const left = items.filter((item) => !settled.has(item));
    const written = left.length === 0 ? [] : await this.#write(left);
    for (const [at, item] of left.entries()) settled.set(item, written[at]!);
    return items.map((item) => settled.get(item)!);
  }

  async #settleLate(late: readonly WriteItem[], settled: Map<WriteItem, Outcome>): Promise<void> {
    if (late.length === 0) return;
    try {
      const deleted = await this.#parts.late.deletedSince(late);
      for (const item of deleted) settled.set(item, { is: 'stale' });
      this.#parts.onLate({ written: late.length - deleted.size, stale: deleted.size });
    } catch (error) {
      const reason = `a late write waits until the stream can be searched for later deletes: ${describeError(error)}`;
      for (const item of late) settled.set(item, { is: 'busy', status: 0, reason });
    }
  }

  #throwIfWhole(outcomes: readonly Outcome[]): void {
    const [first] = outcomes;
    if (first?.is !== 'busy' || !outcomes.every((outcome) => outcome.is === 'busy' && outcome.status === 0)) return;
    throw new GatewayError('TARGET_UNREACHABLE', `nothing can be written to ${this.#parts.hosts.join(', ')}: ${first.reason}`, {
      hint: 'is the cluster of --es-hosts (ES_HOSTS) up, reachable from here, and the user of the settings allowed to write?',
      transient: true,
    });
  }
}

/** A missing privilege is nothing a document can help: it waits for the person who grants it, like a target that does not answer. */
function allowed(outcome: Outcome & { is: 'refused' }): Outcome {
  const { status, type, reason } = outcome.refusal;
  return status === 401 || (status === 403 && /security/.test(type))
    ? { is: 'busy', status: 0, reason: `${type}: ${reason}` }
    : outcome;
}
