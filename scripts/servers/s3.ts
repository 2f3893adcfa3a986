import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { install } from '../provision/cache.ts';
import { s3Recipe, VERSITYGW_VERSION } from '../provision/s3.ts';
import { freePort } from './ports.ts';
import { Server } from './process.ts';

export type S3Options = {
  /** the buckets, as directories; kept across restarts */
  dataDir: string;
  /** undefined or 0: a free one */
  port?: number | undefined;
  accessKey?: string;
  secretKey?: string;
  stays?: boolean;
};

export type S3Credentials = { accessKey: string; secretKey: string; region: string };

/** Starts an S3 server (versitygw over a directory) on the loopback interface, path-style addresses. */
export async function startS3(options: S3Options): Promise<{ server: Server; credentials: S3Credentials }> {
  const home = await install(s3Recipe);
  const dataDir = resolve(options.dataDir);
  const port = options.port || (await freePort());
  const credentials = {
    accessKey: options.accessKey ?? 'test',
    secretKey: options.secretKey ?? 'test-secret',
    region: 'us-east-1',
  };
  const buckets = join(dataDir, 'buckets');
  mkdirSync(buckets, { recursive: true });
  const url = `http://127.0.0.1:${port}`;
  const server = await Server.start({
    name: `versitygw ${VERSITYGW_VERSION}`,
    version: VERSITYGW_VERSION,
    url,
    port,
    dataDir,
    logFile: join(dataDir, 's3.log'),
    program: join(home, 'versitygw'),
    args: ['--quiet', '--health', '/healthz', '--port', `127.0.0.1:${port}`, '--region', credentials.region, 'posix', buckets],
    env: { ROOT_ACCESS_KEY: credentials.accessKey, ROOT_SECRET_KEY: credentials.secretKey },
    ready: async () => (await fetch(`${url}/healthz`)).ok,
    ...(options.stays === undefined ? {} : { stays: options.stays }),
  });
  return { server, credentials };
}
