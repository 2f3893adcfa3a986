import { pause } from '../core/backoff.ts';
import { decodeDrop, encodeDrop } from '../core/drop.ts';
import { describeError, GatewayError } from '../core/errors.ts';
import type { Delivery, Message, OutgoingMessage, Refusal } from '../core/strategy.ts';
import type { Undeliverable } from '../jetstream/index.ts';
import type { Outlet } from './rewriter.ts';
import type { Plan, Rules } from './rules.ts';

type DropOutlet = Pick<Outlet, 'subjectOf'> & {
  /** Resolves once the stream holds it. */
  publish(message: OutgoingMessage): Promise<{ sequence: number }>;
  /** Every durable consumer of the stream has acknowledged everything through this sequence. */
  acknowledgedThrough(): Promise<number>;
};

export type DropsParts = {
  rules(): Rules;
  outlet(output: string): DropOutlet;
  /** True when every message before this sequence is acknowledged upstream, and so downstream holds what became of it. */
  allBefore(sequence: number): Promise<boolean>;
  deadLetter(letter: Undeliverable, message: Message, refusal: Refusal): Promise<void>;
  onPassed(plan: Plan): void;
  onTrouble(error: unknown): void;
  everyMs: number;
  workingEveryMs: number;
};

/** A drop that was passed on, and where: its sequence by output. */
type Passed = { plan: Plan; sequences: readonly { output: string; sequence: number }[] };

/**
 * Passes on the ends of indices (`es.{tenant}.{index}.drop`). One goes out when everything before it in the stream is acknowledged, and is
 * acknowledged itself only when every consumer downstream has acknowledged it: until then the watcher publishes nothing of a new index of
 * that name, and so nothing can overtake the drop on its way to the target.
 */
export class Drops {
  readonly #parts: DropsParts;
  readonly #waiting = new Map<Delivery, Passed | undefined>();
  readonly #stopping = new AbortController();
  #work: Promise<void> | undefined;

  constructor(parts: DropsParts) {
    this.#parts = parts;
  }

  get waiting(): { notPassed: number; notAcknowledgedDownstream: number } {
    const passed = [...this.#waiting.values()].filter((one) => one !== undefined).length;
    return { notPassed: this.#waiting.size - passed, notAcknowledgedDownstream: passed };
  }

  /** Takes a message that is a drop; its fate is settled here. */
  take(delivery: Delivery): boolean {
    if (!/^[^.]+\.[^.]+\.[^.]+\.drop$/.test(delivery.message.subject)) return false;
    this.#waiting.set(delivery, undefined);
    this.#work ??= this.#run().finally(() => (this.#work = undefined));
    return true;
  }

  /** Gives back what waits. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#work;
    for (const delivery of this.#waiting.keys()) delivery.retryLater(0);
    this.#waiting.clear();
  }

  async #run(): Promise<void> {
    let workedAt = Date.now();
    while (this.#waiting.size > 0 && !this.#stopping.signal.aborted) {
      const first = [...this.#waiting.keys()].reduce((a, b) => (a.message.sequence <= b.message.sequence ? a : b));
      try {
        if (await this.#advance(first)) {
          await first.ack();
          const passed = this.#waiting.get(first);
          this.#waiting.delete(first);
          if (passed !== undefined) this.#parts.onPassed(passed.plan);
          continue;
        }
      } catch (error) {
        if (!this.#stopping.signal.aborted) this.#parts.onTrouble(error);
      }
      await pause(this.#parts.everyMs, this.#stopping.signal);
      if (Date.now() - workedAt < this.#parts.workingEveryMs) continue;
      workedAt = Date.now();
      for (const delivery of this.#waiting.keys()) delivery.working();
    }
  }

  /** True when nothing more is to be done about it. Throws what may pass. */
  async #advance(delivery: Delivery): Promise<boolean> {
    const { message } = delivery;
    const passed = this.#waiting.get(delivery);
    if (passed !== undefined) {
      for (const { output, sequence } of passed.sequences) {
        if ((await this.#parts.outlet(output).acknowledgedThrough()) < sequence) return false;
      }
      return true;
    }
    if (!(await this.#parts.allBefore(message.sequence))) return false;
    const now = await this.#pass(message);
    if (now === undefined) return true;
    this.#waiting.set(delivery, now);
    return now.sequences.length === 0;
  }

  /** Undefined when the drop is filtered or kept as a dead letter. */
  async #pass(message: Message): Promise<Passed | undefined> {
    let plan: Plan;
    let drop;
    try {
      plan = this.#parts.rules().plan(message.subject);
      if (plan.filteredBy !== undefined) return undefined;
      drop = decodeDrop(message.payload);
    } catch (error) {
      const type = error instanceof GatewayError ? error.code : 'UNREADABLE';
      await this.#parts.deadLetter({ is: 'unreadable' }, message, { status: 0, type, reason: describeError(error) });
      return undefined;
    }
    const sequences: { output: string; sequence: number }[] = [];
    for (const { output, tenant, index, shared } of plan.lanes) {
      if (shared) {
        const reason = `by the rules other indices go to ${index} too, or it has a date: delete what is to go by hand`;
        await this.#parts.deadLetter({ is: 'drop', drop, targetIndex: index }, message, {
          status: 0,
          type: 'index_shared',
          reason,
        });
        continue;
      }
      const outlet = this.#parts.outlet(output);
      const id = message.headers.get('Nats-Msg-Id') ?? `${drop.version}.drop.${message.sequence}`;
      const { sequence } = await outlet.publish({
        subject: outlet.subjectOf({ tenant, index, operation: 'drop' }),
        payload: encodeDrop({ ...drop, tenant, index }),
        id: output === 'main' ? id : `${id}.${output}`,
      });
      sequences.push({ output, sequence });
    }
    return { plan, sequences };
  }
}
