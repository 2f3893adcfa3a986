import { createHash } from 'node:crypto';
import type { ByteRange, ObjectStore, PutOptions, PutOutcome, StoredObject } from '../core/strategy.ts';
import { bucketMissing, callAborted } from './s3-failure.ts';

/** A bucket in memory, for tests. */
export class MemoryObjectStore implements ObjectStore {
  readonly name: string;
  readonly #now: () => number;
  #exists: boolean;
  readonly #objects = new Map<string, { body: Buffer; stored: StoredObject }>();

  constructor(options: { name?: string; exists?: boolean; now?: () => number } = {}) {
    this.name = options.name ?? 'memory';
    this.#exists = options.exists ?? true;
    this.#now = options.now ?? Date.now;
  }

  async put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<PutOutcome> {
    this.#check(options.signal);
    if (options.replace !== true && this.#objects.has(key)) return { is: 'exists' };
    const etag = `"${createHash('md5').update(body).digest('hex')}"`;
    const stored = { key, bytes: body.length, etag, modifiedAt: this.#now() };
    this.#objects.set(key, { body: Buffer.from(body), stored });
    return { is: 'stored', etag };
  }

  async get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<Buffer | undefined> {
    this.#check(signal);
    const body = this.#objects.get(key)?.body;
    if (body === undefined || range === undefined) return body === undefined ? undefined : Buffer.from(body);
    return Buffer.from(body.subarray(range.from, range.to + 1));
  }

  async head(key: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    this.#check(signal);
    return this.#objects.get(key)?.stored;
  }

  async *list(prefix: string, after = '', signal?: AbortSignal): AsyncGenerator<StoredObject> {
    this.#check(signal);
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix) && byBytes(key, after) > 0).sort(byBytes);
    for (const key of keys) {
      const stored = this.#objects.get(key)?.stored;
      if (stored !== undefined) yield stored;
    }
  }

  async remove(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    this.#check(signal);
    for (const key of keys) this.#objects.delete(key);
  }

  async bucket(action: 'exists' | 'create'): Promise<boolean> {
    if (action === 'exists') return this.#exists;
    const made = !this.#exists;
    this.#exists = true;
    return made;
  }

  async close(): Promise<void> {}

  #check(signal: AbortSignal | undefined): void {
    if (signal?.aborted === true) throw callAborted(this.name, signal.reason);
    if (!this.#exists) throw bucketMissing(this.name);
  }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
