import { readFileSync } from 'node:fs';
import { GatewayError } from '../core/errors.ts';
import type { ObjectStore } from '../core/strategy.ts';
import { S3ObjectStore } from '../objects/index.ts';
import type { Nats3Settings } from './config.ts';

type S3Values = Pick<Nats3Settings, 's3Endpoint' | 's3Region' | 's3PathStyle' | 's3CaFile' | 's3Timeout'>;

/** The buckets in use, one client each. */
export class Buckets {
  readonly #settings: S3Values;
  readonly #ca: string | undefined;
  readonly #open = new Map<string, ObjectStore>();

  /** Throws S3_CA_FILE. */
  constructor(settings: S3Values) {
    this.#settings = settings;
    this.#ca = settings.s3CaFile === undefined ? undefined : readCa(settings.s3CaFile);
  }

  /** Makes no connection yet. One try a call. */
  bucket(name: string): ObjectStore {
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const { s3Endpoint: endpoint, s3Region: region, s3PathStyle, s3Timeout: timeoutMs } = this.#settings;
    const store = new S3ObjectStore({
      bucket: name,
      endpoint,
      region,
      pathStyle: s3PathStyle ?? endpoint !== undefined,
      timeoutMs,
      ...(this.#ca === undefined ? {} : { tls: { ca: this.#ca } }),
    });
    this.#open.set(name, store);
    return store;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((store) => store.close()));
  }
}

function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new GatewayError('S3_CA_FILE', `cannot read the file of --s3-ca-file: ${(cause as Error).message}`, {
      hint: 'check the path and its permissions',
      cause,
    });
  }
}
