import { Kvm, type KV, type KvEntry } from '@nats-io/kv';
import { GatewayError } from '../core/errors.ts';
import type { NatsLink } from './connect.ts';
import { apiErrorCode, natsFailure } from './failures.ts';

/** What a key holds; without a value it was removed. */
export type Entry = { key: string; value: unknown; revision: number };

/** Somebody else changed the key first. */
const wrongRevision = 10_071;

/**
 * JSON values in a bucket of JetStream's key-value store. A write names the revision that it replaces (0: there is none), so that of
 * several writers one wins. Throws NATS_*, JETSTREAM_*.
 */
export class KeyValue {
  readonly #kv: KV;
  readonly #bucket: string;

  private constructor(kv: KV, bucket: string) {
    this.#kv = kv;
    this.#bucket = bucket;
  }

  static async open(link: NatsLink, bucket: string, replicas: number): Promise<KeyValue> {
    try {
      const kv = await new Kvm(link.jetstream).create(bucket, { history: 1, replicas });
      return new KeyValue(kv, bucket);
    } catch (error) {
      throw natsFailure(error, `opening the key-value bucket ${bucket}`);
    }
  }

  async get(key: string): Promise<Entry | undefined> {
    const entry = await this.#try(`reading ${key}`, () => this.#kv.get(key));
    return entry === null || entry.operation !== 'PUT' ? undefined : read(entry);
  }

  /** The new revision, or undefined when the key is not at `revision` (any more). */
  async write(key: string, value: unknown, revision: number): Promise<number | undefined> {
    const text = JSON.stringify(value);
    return this.#try(`writing ${key}`, async () => {
      try {
        return revision === 0 ? await this.#kv.create(key, text) : await this.#kv.update(key, text, revision);
      } catch (error) {
        if (apiErrorCode(error) === wrongRevision) return undefined;
        throw error;
      }
    });
  }

  /** Removes the key and what was under it. */
  async remove(key: string): Promise<void> {
    await this.#try(`removing ${key}`, () => this.#kv.purge(key));
  }

  /** Tells every key as it is and as it changes, until the answer is called. `onReady`: what there was has been told. */
  async watch(tell: (entry: Entry) => void, onReady: () => void): Promise<() => void> {
    const iterator = await this.#try('watching', () => this.#kv.watch({ include: '' }));
    const { values } = await this.#try('watching', () => this.#kv.status());
    let told = 0;
    if (values === 0) onReady();
    void (async () => {
      for await (const entry of iterator) {
        tell(entry.operation === 'PUT' ? read(entry) : { key: entry.key, value: undefined, revision: entry.revision });
        if (++told === values) onReady();
      }
    })().catch(() => undefined);
    return () => iterator.stop();
  }

  async #try<Result>(doing: string, call: () => Promise<Result>): Promise<Result> {
    try {
      return await call();
    } catch (error) {
      throw natsFailure(error, `${doing} in the key-value bucket ${this.#bucket}`);
    }
  }
}

function read(entry: KvEntry): Entry {
  try {
    return { key: entry.key, value: entry.json(), revision: entry.revision };
  } catch (cause) {
    throw new GatewayError('KV_FOREIGN', `key ${entry.key} holds no JSON`, {
      hint: 'give nats3 a bucket of its own: --kv-bucket',
      cause,
    });
  }
}
