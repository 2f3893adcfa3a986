import type { Verdict } from '../core/pump-stages.ts';
import { describeError, GatewayError } from '../core/errors.ts';
import type { Outcome, Writer } from '../core/strategy.ts';
import type { LateWrites } from './late.ts';
import { commonOf, countOf, isBlock, itemsOf, type WriteItem, type WriteLoad } from './open.ts';

export type TargetParts = {
  writer: Writer;
  late: LateWrites;
  /** Finds out how long the targets of these indices of the source remember deletes; `late` depends on it. Cheap when that is known. */
  prepare: (indices: ReadonlySet<string>) => Promise<void>;
  hosts: readonly string[];
  /** One outcome a change. */
  onOutcomes: (loads: readonly WriteLoad[], outcomes: readonly Outcome[]) => void;
  onLate: (late: { written: number; stale: number }) => void;
};

/** Delivers batches of changes to the target: what is late is looked at first, what cannot be written is refused. */
export class Target {
  readonly #parts: TargetParts;

  constructor(parts: TargetParts) {
    this.#parts = parts;
  }

  /**
   * One verdict a load. Throws what concerns the whole target and is for a person or for time to mend, so that nothing of it is taken for the
   * fault of a document: unreachable, 401, 403, TLS.
   */
  async deliver(loads: readonly WriteLoad[]): Promise<Verdict<WriteLoad>[]> {
    const indices = new Set<string>();
    for (const load of loads) indices.add(commonOf(load).index);
    await this.#parts.prepare(indices);
    const asUsual = loads.every((load) => (isBlock(load) || load.refusal === undefined) && !this.#parts.late.isLate(load));
    if (asUsual) {
      const outcomes = await this.#write(loads);
      this.#judge(loads, outcomes);
      return verdictsOf(loads, outcomes, itemsOf);
    }
    const items = loads.map(itemsOf);
    const outcomes = await this.#sortAndWrite(items.flat());
    // What has been looked at need not be looked at again at the next try; of a block all have been, or none.
    for (const [at, load] of loads.entries()) load.freshAt = items[at]![0]!.freshAt;
    this.#judge(loads, outcomes);
    return verdictsOf(loads, outcomes, (_, at) => items[at]!);
  }

  #judge(loads: readonly WriteLoad[], outcomes: readonly Outcome[]): void {
    this.#parts.onOutcomes(loads, outcomes);
    this.#throwIfWhole(outcomes);
  }

  async #write(loads: readonly WriteLoad[]): Promise<Outcome[]> {
    const outcomes = await this.#parts.writer.write(loads.map((load) => (isBlock(load) ? load.block : [load.event])));
    return outcomes.some(isRefused) ? outcomes.map((outcome) => (isRefused(outcome) ? allowed(outcome) : outcome)) : outcomes;
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

/** Of a block of which some are done and some are not, the latter become items; `itemsOfLoad` knows which. */
function verdictsOf(
  loads: readonly WriteLoad[],
  outcomes: readonly Outcome[],
  itemsOfLoad: (load: WriteLoad, at: number) => readonly WriteItem[],
): Verdict<WriteLoad>[] {
  let first = 0;
  return loads.map((load, at): Verdict<WriteLoad> => {
    const own = outcomes.slice(first, (first += countOf(load)));
    if (!isBlock(load)) return own[0]!;
    if (own.every(isDone) || own.every(isMerelyBusy)) return own[0]!;
    const items = itemsOfLoad(load, at);
    const parts = own.flatMap((outcome, place) => (isDone(outcome) ? [] : [{ item: items[place]!, outcome }]));
    return { is: 'split', parts };
  });
}

function isDone({ is }: Outcome): boolean {
  return is === 'stored' || is === 'stale';
}

function isMerelyBusy(outcome: Outcome): boolean {
  return outcome.is === 'busy' && outcome.atLast === undefined;
}

function isRefused(outcome: Outcome): outcome is Outcome & { is: 'refused' } {
  return outcome.is === 'refused';
}

/** A missing privilege is nothing a document can help: it waits for the person who grants it, like a target that does not answer. */
function allowed(outcome: Outcome & { is: 'refused' }): Outcome {
  const { status, type, reason } = outcome.refusal;
  return status === 401 || (status === 403 && /security/.test(type))
    ? { is: 'busy', status: 0, reason: `${type}: ${reason}` }
    : outcome;
}
