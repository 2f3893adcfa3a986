import type { BucketLocationConstraint, S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { crc32 } from 'node:zlib';
import type { ByteRange, ObjectStore, PutOptions, PutOutcome, StoredObject } from '../core/strategy.ts';
import { bucketMissing, S3Error, s3Failure } from './s3-failure.ts';

export type S3Settings = {
  bucket: string;
  /** `https://minio.local:9000`; left out for AWS itself. */
  endpoint?: string | undefined;
  /** Default: what the environment or the profile says, else us-east-1. */
  region?: string | undefined;
  /** The bucket in the path, not in the host name: for most servers but AWS. */
  pathStyle?: boolean;
  /** Default: the standard chain (environment, profile, web identity, container, instance role). */
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
  /** PEM texts; `verify: false` accepts any certificate. */
  tls?: { ca?: string; verify?: boolean };
  connectTimeoutMs?: number;
  /** Longest silence of the other side, in both directions. */
  timeoutMs?: number;
  connectionsMax?: number;
  /** Keys that a listing asks for at once, 1,000 at most. */
  pageKeys?: number;
};

const defaults = { connectTimeoutMs: 5_000, timeoutMs: 30_000, connectionsMax: 32, pageKeys: 1_000 };
const regionDefault = 'us-east-1';

type Sdk = typeof import('@aws-sdk/client-s3');
type Opened = { sdk: Sdk; client: S3Client };

/** The most keys that one DeleteObjects request takes. */
const removedAtOnce = 1_000;

/**
 * A bucket of S3 or of a server that speaks its protocol. One try a call: whoever wants more wraps it (`retryingStore`).
 * Objects are written with a single PUT each: it is atomic, takes `If-None-Match`, and its limit of 5 GiB is far above what a block,
 * which is built in memory, can have.
 */
export class S3ObjectStore implements ObjectStore {
  readonly name: string;
  readonly #settings: S3Settings & typeof defaults;
  #opened: Promise<Opened> | undefined;

  /** Makes no connection yet. */
  constructor(settings: S3Settings) {
    this.#settings = { ...defaults, ...settings };
    this.name = settings.bucket;
  }

  async put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<PutOutcome> {
    try {
      const answer = await this.#call(`writing ${key}`, options.signal, ({ sdk, client }, send) =>
        client.send(
          new sdk.PutObjectCommand({
            Bucket: this.name,
            Key: key,
            Body: body,
            ContentLength: body.length,
            ChecksumCRC32: crcText(body),
            ...(options.contentType === undefined ? {} : { ContentType: options.contentType }),
            ...(options.replace === true ? {} : { IfNoneMatch: '*' }),
          }),
          send,
        ),
      );
      return { is: 'stored', etag: answer.ETag ?? '' };
    } catch (error) {
      if (error instanceof S3Error && error.status === 412) return { is: 'exists' };
      throw error;
    }
  }

  async get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<Buffer | undefined> {
    const input = { Bucket: this.name, Key: key, ...(range === undefined ? {} : { Range: `bytes=${range.from}-${range.to}` }) };
    try {
      return await this.#call(`reading ${key}`, signal, async ({ sdk, client }, send) => {
        const answer = await client.send(new sdk.GetObjectCommand(input), send);
        return collect(answer.Body as AsyncIterable<Uint8Array>, answer.ContentLength);
      });
    } catch (error) {
      if (error instanceof S3Error && error.status === 404 && error.word !== 'NoSuchBucket') return undefined;
      if (error instanceof S3Error && error.status === 416) return Buffer.alloc(0);
      throw error;
    }
  }

  async head(key: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    try {
      const answer = await this.#call(`looking at ${key}`, signal, ({ sdk, client }, send) =>
        client.send(new sdk.HeadObjectCommand({ Bucket: this.name, Key: key }), send),
      );
      return storedObject(key, answer.ContentLength, answer.ETag, answer.LastModified);
    } catch (error) {
      if (!(error instanceof S3Error) || error.status !== 404) throw error;
    }
    // The answer to a HEAD has no body that could tell a missing bucket from a missing object.
    if (!(await this.bucket('exists', signal))) throw bucketMissing(this.name);
    return undefined;
  }

  async *list(prefix: string, after?: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
    let token: string | undefined;
    do {
      const input = {
        Bucket: this.name,
        Prefix: prefix,
        MaxKeys: this.#settings.pageKeys,
        ...(after === undefined ? {} : { StartAfter: after }),
        ...(token === undefined ? {} : { ContinuationToken: token }),
      };
      const page = await this.#call(`listing ${prefix}`, signal, ({ sdk, client }, send) =>
        client.send(new sdk.ListObjectsV2Command(input), send),
      );
      for (const { Key, Size, ETag, LastModified } of page.Contents ?? []) {
        if (Key !== undefined) yield storedObject(Key, Size, ETag, LastModified);
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async remove(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    for (let at = 0; at < keys.length; at += removedAtOnce) {
      const objects = keys.slice(at, at + removedAtOnce).map((Key) => ({ Key }));
      const doing = `removing ${objects.length} objects`;
      const answer = await this.#call(doing, signal, ({ sdk, client }, send) =>
        client.send(new sdk.DeleteObjectsCommand({ Bucket: this.name, Delete: { Objects: objects, Quiet: true } }), send),
      );
      const [failed] = (answer.Errors ?? []).filter(({ Code }) => Code !== 'NoSuchKey');
      if (failed !== undefined) {
        const cause = Object.assign(new Error(failed.Message ?? failed.Code ?? ''), { name: failed.Code ?? 'InternalError' });
        throw s3Failure(cause, { ...this.#place(), doing: `removing ${failed.Key ?? 'an object'}` });
      }
    }
  }

  async bucket(action: 'exists' | 'create', signal?: AbortSignal): Promise<boolean> {
    if (action === 'create') return !(await this.bucket('exists', signal)) && this.#createBucket(signal);
    try {
      await this.#call('looking at the bucket', signal, ({ sdk, client }, send) =>
        client.send(new sdk.HeadBucketCommand({ Bucket: this.name }), send),
      );
      return true;
    } catch (error) {
      if (error instanceof S3Error && error.status === 404) return false;
      throw error;
    }
  }

  async #createBucket(signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await this.#call('creating the bucket', signal, async ({ sdk, client }, send) => {
        const region = await client.config.region();
        // us-east-1 is where a bucket goes by default, and the one value that S3 refuses here.
        const place =
          region === regionDefault
            ? {}
            : { CreateBucketConfiguration: { LocationConstraint: region as BucketLocationConstraint } };
        await client.send(new sdk.CreateBucketCommand({ Bucket: this.name, ...place }), send);
      });
      return true;
    } catch (error) {
      if (error instanceof S3Error && error.word === 'BucketAlreadyOwnedByYou') return false;
      throw error;
    }
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    (await opened?.catch(() => undefined))?.client.destroy();
  }

  async #call<Answer>(
    doing: string,
    signal: AbortSignal | undefined,
    work: (opened: Opened, send: { abortSignal?: AbortSignal }) => Promise<Answer>,
  ): Promise<Answer> {
    try {
      signal?.throwIfAborted();
      this.#opened ??= open(this.#settings);
      return await work(await this.#opened, signal === undefined ? {} : { abortSignal: signal });
    } catch (error) {
      throw s3Failure(error, { ...this.#place(), doing });
    }
  }

  #place() {
    return { bucket: this.name, endpoint: this.#settings.endpoint, timeoutMs: this.#settings.timeoutMs };
  }
}

/** Only programs that use S3 pay for loading the SDK, on first use. */
async function open(settings: S3Settings & typeof defaults): Promise<Opened> {
  const sdk = await import('@aws-sdk/client-s3');
  const agent = { keepAlive: true, maxSockets: settings.connectionsMax };
  const { ca, verify } = settings.tls ?? {};
  const config: S3ClientConfig = {
    // Whoever calls knows better how long to go on: see `retryingStore`.
    maxAttempts: 1,
    forcePathStyle: settings.pathStyle ?? false,
    requestHandler: {
      connectionTimeout: settings.connectTimeoutMs,
      socketTimeout: settings.timeoutMs,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent({
        ...agent,
        ...(ca === undefined ? {} : { ca }),
        ...(verify === undefined ? {} : { rejectUnauthorized: verify }),
      }),
    },
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
    ...(settings.region === undefined ? {} : { region: settings.region }),
    ...(settings.credentials === undefined ? {} : { credentials: settings.credentials }),
  };
  const client = new sdk.S3Client(config);
  // Neither set, nor in the environment, nor in a profile: the SDK would refuse every call, though most servers do not care.
  const hasRegion = await client.config.region().then(
    () => true,
    () => false,
  );
  return { sdk, client: hasRegion ? client : new sdk.S3Client({ ...config, region: regionDefault }) };
}

function crcText(body: Uint8Array): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return bytes.toString('base64');
}

/** `length` is known unless something in between has changed how the answer is sent. */
async function collect(chunks: AsyncIterable<Uint8Array>, length: number | undefined): Promise<Buffer> {
  if (length === undefined) return Buffer.concat(await Array.fromAsync(chunks));
  const body = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for await (const chunk of chunks) {
    if (at + chunk.length > length) throw new Error('the answer is longer than it said');
    body.set(chunk, at);
    at += chunk.length;
  }
  if (at !== length) throw Object.assign(new Error(`the answer ends after ${at} of ${length} bytes`), { code: 'ECONNRESET' });
  return body;
}

function storedObject(key: string, bytes = 0, etag = '', modified = new Date(0)): StoredObject {
  return { key, bytes, etag, modifiedAt: modified.getTime() };
}
