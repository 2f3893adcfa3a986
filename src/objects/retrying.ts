import { backoffMs, pause, type BackoffLimits, type Chance } from '../core/backoff.ts';
import { GatewayError } from '../core/errors.ts';
import type { ByteRange, ObjectStore, PutOptions, PutOutcome, StoredObject } from '../core/strategy.ts';

export type RetryPolicy = {
  backoff?: BackoffLimits;
  /** Tries of one call. Default: as many as it takes. */
  triesMax?: number;
  /** A try failed and the next one follows after `pauseMs`. */
  onRetry?: (error: GatewayError, attempt: number, pauseMs: number) => void;
  /** A call that had failed has succeeded. */
  onRecovered?: () => void;
  chance?: Chance;
};

const backoffDefault: BackoffLimits = { minMs: 100, maxMs: 15_000 };

/**
 * A store whose calls are tried again while their failures are transient; an aborted signal ends that with the last failure.
 * A PUT whose answer was lost comes back as `exists`: the caller has to look whether the object is its own.
 */
export function retryingStore(store: ObjectStore, policy: RetryPolicy = {}): ObjectStore {
  return new RetryingStore(store, policy);
}

class RetryingStore implements ObjectStore {
  readonly name: string;
  readonly #store: ObjectStore;
  readonly #policy: RetryPolicy;

  constructor(store: ObjectStore, policy: RetryPolicy) {
    this.name = store.name;
    this.#store = store;
    this.#policy = policy;
  }

  put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<PutOutcome> {
    return this.#persist(options.signal, () => this.#store.put(key, body, options));
  }

  get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<Buffer | undefined> {
    return this.#persist(signal, () => this.#store.get(key, range, signal));
  }

  head(key: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    return this.#persist(signal, () => this.#store.head(key, signal));
  }

  /** A listing that fails goes on after the last key. */
  async *list(prefix: string, after?: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
    let last = after;
    let failures = 0;
    for (;;) {
      try {
        for await (const object of this.#store.list(prefix, last, signal)) {
          if (failures > 0) this.#policy.onRecovered?.();
          failures = 0;
          last = object.key;
          yield object;
        }
        if (failures > 0) this.#policy.onRecovered?.();
        return;
      } catch (error) {
        await this.#pauseOrThrow(error, ++failures, signal);
      }
    }
  }

  remove(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    return this.#persist(signal, () => this.#store.remove(keys, signal));
  }

  bucket(action: 'exists' | 'create', signal?: AbortSignal): Promise<boolean> {
    return this.#persist(signal, () => this.#store.bucket(action, signal));
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #persist<Answer>(signal: AbortSignal | undefined, call: () => Promise<Answer>): Promise<Answer> {
    for (let failures = 0; ;) {
      try {
        const answer = await call();
        if (failures > 0) this.#policy.onRecovered?.();
        return answer;
      } catch (error) {
        await this.#pauseOrThrow(error, ++failures, signal);
      }
    }
  }

  async #pauseOrThrow(error: unknown, failures: number, signal: AbortSignal | undefined): Promise<void> {
    const { backoff = backoffDefault, triesMax = Number.POSITIVE_INFINITY, onRetry, chance } = this.#policy;
    const isOver = (): boolean => signal?.aborted === true;
    if (!(error instanceof GatewayError) || !error.transient || failures >= triesMax || isOver()) throw error;
    const pauseMs = backoffMs(failures, backoff, chance);
    onRetry?.(error, failures, pauseMs);
    await pause(pauseMs, signal);
    if (isOver()) throw error;
  }
}
