import { randomUUID } from 'node:crypto';
import { backoffMs, pause } from '../core/backoff.ts';
import { GatewayError, isTransient } from '../core/errors.ts';
import type { KeyValue } from '../jetstream/index.ts';
import type { JobState } from './job.ts';

const retry = { minMs: 50, maxMs: 2_000 };

/**
 * The state of a job while it is run: changed in memory, written as a whole, each write in place of the one before. Whoever takes
 * the job over writes first, and from then on the former holder's writes fail: LEASE_LOST.
 */
export class Ledger {
  readonly #values: KeyValue;
  readonly #key: string;
  readonly #signal: AbortSignal;
  #revision: number;
  #writing = false;
  #next: PromiseWithResolvers<void> | undefined;
  readonly state: JobState;

  /** `signal` ends tries that do not get through. */
  constructor(values: KeyValue, key: string, state: JobState, revision: number, signal: AbortSignal) {
    this.#values = values;
    this.#key = key;
    this.state = state;
    this.#revision = revision;
    this.#signal = signal;
  }

  /** Resolves once the state, as it is now or later, is durable. Calls while a write is under way share the next one. */
  save(): Promise<void> {
    this.#next ??= Promise.withResolvers();
    const { promise } = this.#next;
    if (!this.#writing) void this.#writeAll();
    return promise;
  }

  /** One write at a time: each replaces what the one before has left. */
  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (this.#next !== undefined) {
      const { resolve, reject } = this.#next;
      this.#next = undefined;
      await this.#write().then(resolve, reject);
    }
    this.#writing = false;
  }

  async #write(): Promise<void> {
    const nonces: string[] = [];
    for (let attempt = 1; ; attempt++) {
      if (this.#signal.aborted) throw this.#signal.reason;
      this.state.nonce = randomUUID();
      this.state.updated = new Date().toISOString();
      nonces.push(this.state.nonce);
      try {
        const revision = await this.#values.write(this.#key, this.state, this.#revision);
        if (revision !== undefined) {
          this.#revision = revision;
          return;
        }
        if (!(await this.#isOurs(nonces))) throw lost();
        // An earlier try got through; what has changed since is written by this one.
        continue;
      } catch (error) {
        if (!isTransient(error) || (error as GatewayError).code === 'LEASE_LOST') throw error;
        // The answer may be lost and the write not: the next try finds out.
      }
      await pause(backoffMs(attempt, retry), this.#signal);
    }
  }

  async #isOurs(nonces: readonly string[]): Promise<boolean> {
    const entry = await this.#values.get(this.#key);
    if (entry === undefined || !nonces.includes((entry.value as JobState).nonce)) return false;
    this.#revision = entry.revision;
    return true;
  }
}

function lost(): GatewayError {
  return new GatewayError('LEASE_LOST', 'another server has taken the job over', {
    hint: 'it goes on there',
    transient: true,
  });
}
