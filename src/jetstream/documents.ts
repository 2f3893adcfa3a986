import { createHash } from 'node:crypto';
import { Base64UrlPaddedCodec, Objm, StorageType, type ObjectInfo, type ObjectStore } from '@nats-io/obj';
import { GatewayError } from '../core/errors.ts';
import type { SourceReference } from '../core/event.ts';
import type { NatsLink } from './connect.ts';
import { natsFailure } from './failures.ts';
import { fitted, streamIdentity } from './streams.ts';

export type DocumentsSettings = { stream: string; maxBytes?: number; replicas?: number };

export type DocumentReader = {
  /** Throws DOCUMENT_MISSING, DOCUMENT_DAMAGED, NATS_*. */
  get(reference: SourceReference): Promise<Uint8Array>;
};

/** Documents that are too large for a message, kept in a JetStream object store beside the stream. */
export type Documents = DocumentReader & {
  readonly bucket: string;
  /** A name that is there with the same contents is left as it is. Throws NATS_*, JETSTREAM_REFUSED (transient: the store is full). */
  put(name: string, bytes: Uint8Array): Promise<SourceReference>;
  /** The message that refers to it is in the stream: once that is purged, the document may go. */
  stored(reference: SourceReference, sequence: number): Promise<void>;
  /**
   * Removes documents whose message was purged, the stream being purged through `sequence`, and those older than `orphansBeforeMs` that
   * no message is known to refer to, unless this process has yet to publish it. Answers how many. May be repeated.
   */
  removeThrough(sequence: number, orphansBeforeMs: number): Promise<number>;
};

const bucketPrefix = 'es-documents-';
const defaultBytes = 4 * 2 ** 30;

/** Bucket names know letters, digits, `-` and `_` only. */
export function bucketName(stream: string): string {
  return bucketPrefix + stream.replaceAll(/[^\w-]/g, '_');
}

/** Opens the bucket of a stream and makes it where it is missing. Throws STREAM_SPACE, NATS_*, JETSTREAM_*. */
export async function openDocuments(link: NatsLink, settings: DocumentsSettings): Promise<Documents> {
  const bucket = bucketName(settings.stream);
  const limit = settings.maxBytes === undefined ? {} : { maxBytes: settings.maxBytes };
  try {
    const { made } = await fitted(link, { name: `OBJ_${bucket}`, ...limit }, defaultBytes, (bytes) =>
      new Objm(link.jetstream).create(bucket, {
        description: `Documents too large for a message of stream ${settings.stream}`,
        storage: StorageType.File,
        max_bytes: bytes,
        replicas: settings.replicas ?? 1,
      }),
    );
    return new Bucket(link, settings.stream, bucket, made);
  } catch (error) {
    throw natsFailure(error, `opening object store ${bucket}`);
  }
}

/** Reads documents by reference, from whichever bucket of ours it names. */
export function readDocuments(link: NatsLink): DocumentReader {
  return {
    async get(reference) {
      // A reference comes in a message, which anybody may have published: no other bucket is opened for it.
      if (!reference.bucket.startsWith(bucketPrefix)) throw missing(reference);
      return read(await new Objm(link.jetstream).open(reference.bucket, false), reference);
    },
  };
}

function missing(reference: SourceReference): GatewayError {
  return new GatewayError('DOCUMENT_MISSING', `document ${reference.name} is not in object store ${reference.bucket}`, {
    hint: 'it was removed, or the message came without it',
  });
}

function damaged(reference: SourceReference, why: string, cause?: unknown): GatewayError {
  return new GatewayError('DOCUMENT_DAMAGED', `document ${reference.name} in object store ${reference.bucket}: ${why}`, {
    cause,
  });
}

async function read(store: ObjectStore, reference: SourceReference): Promise<Uint8Array> {
  const bytes = await store.getBlob(reference.name).catch((error: unknown) => {
    if (error instanceof Error && /digest|corrupt/i.test(error.message)) throw damaged(reference, error.message, error);
    if (error instanceof Error && /stream not found|object store not found/i.test(error.message)) throw missing(reference);
    throw natsFailure(error, `reading document ${reference.name} from object store ${reference.bucket}`);
  });
  if (bytes === null) throw missing(reference);
  if (bytes.length !== reference.bytes) throw damaged(reference, `${bytes.length} bytes instead of ${reference.bytes}`);
  return bytes;
}

class Bucket implements Documents {
  readonly bucket: string;
  readonly #link: NatsLink;
  readonly #stream: string;
  readonly #store: ObjectStore;
  /** Put, and the message not known to be stored: not to be taken for orphans, however long the stream is full. */
  readonly #awaited = new Set<string>();

  constructor(link: NatsLink, stream: string, bucket: string, store: ObjectStore) {
    this.#link = link;
    this.#stream = stream;
    this.bucket = bucket;
    this.#store = store;
  }

  async put(name: string, bytes: Uint8Array): Promise<SourceReference> {
    this.#awaited.add(name);
    const reference = { bucket: this.bucket, name, bytes: bytes.length };
    try {
      const found = await this.#store.info(name);
      const digest = `SHA-256=${createHash('sha256').update(bytes).digest('base64url')}`;
      if (found !== null && !found.deleted && found.digest.replace(/=+$/, '') === digest) return reference;
      await this.#store.putBlob({ name }, bytes);
      return reference;
    } catch (error) {
      throw natsFailure(error, `putting document ${name} into object store ${this.bucket}`);
    }
  }

  async stored(reference: SourceReference, sequence: number): Promise<void> {
    try {
      const created = (await streamIdentity(this.#link, this.#stream))?.created ?? '';
      await this.#store.update(reference.name, { name: reference.name, metadata: { sequence: String(sequence), created } });
      this.#awaited.delete(reference.name);
    } catch (error) {
      throw natsFailure(error, `marking document ${reference.name} in object store ${this.bucket}`);
    }
  }

  get(reference: SourceReference): Promise<Uint8Array> {
    return read(this.#store, reference);
  }

  async removeThrough(sequence: number, orphansBeforeMs: number): Promise<number> {
    try {
      const identity = await streamIdentity(this.#link, this.#stream);
      if (identity === undefined) return 0;
      let removed = 0;
      for (const found of await this.#store.list()) {
        if (this.#awaited.has(found.name) || !isSpent(found, identity.created, sequence, orphansBeforeMs)) continue;
        await this.#store.delete(found.name);
        // The tombstone that the object store leaves would stay for ever.
        const filter = `$O.${this.bucket}.M.${Base64UrlPaddedCodec.encode(found.name)}`;
        await this.#link.manager.streams.purge(`OBJ_${this.bucket}`, { filter });
        removed++;
      }
      return removed;
    } catch (error) {
      throw natsFailure(error, `removing documents from object store ${this.bucket}`);
    }
  }
}

function isSpent(found: ObjectInfo, created: string, sequence: number, orphansBeforeMs: number): boolean {
  const mark = found.metadata?.['sequence'];
  if (mark === undefined) return Date.parse(found.mtime) < orphansBeforeMs;
  // Marks of an earlier life of the stream: their messages went with it.
  return found.metadata?.['created'] !== created || Number(mark) <= sequence;
}
