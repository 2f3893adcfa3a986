import { join } from 'node:path';
import { temporaryDirectory } from '../../scripts/servers.ts';
import { connectNats, type NatsLink } from '../../src/jetstream/index.ts';
import type { ArchiveAnswer, JobAnswer, Problem } from '../../src/nats3/schema.ts';
import { S3ObjectStore } from '../../src/objects/index.ts';
import { Program, type ProgramOptions } from './programs.ts';
import { Hopeless, until } from './until.ts';

export type Answer<Body> = { status: number; body: Body };
type S3Access = { accessKey: string; secretKey: string; region: string };
export type StageOptions = {
  nats: string;
  s3: string;
  credentials: S3Access;
  flags?: Readonly<Record<string, string>>;
  env?: Readonly<Record<string, string>>;
  /** Another program than the one in bin/. */
  program?: Pick<ProgramOptions, 'executable' | 'launcher' | 'command'>;
};

const names = { count: 0 };

/** A name that no other test of this run has. */
export function uniqueName(what: string): string {
  return `${what}-${process.pid}-${++names.count}`;
}

/** A nats3 server as a child process, and its API. */
export class ArchiveStage {
  readonly program: Program;
  readonly credentials: S3Access;
  readonly s3: string;

  constructor({ nats, s3, credentials, flags = {}, env = {}, program = {} }: StageOptions) {
    const given = {
      'nats-url': nats,
      's3-endpoint': s3,
      'lease-timeout': '2s',
      'drain-timeout': '10s',
      's3-timeout': '2s',
      ...flags,
    };
    this.s3 = s3;
    this.credentials = credentials;
    this.program = new Program('nats3', {
      ...program,
      flags: Object.entries(given).map(([name, value]) => `--${name}=${value}`),
      env: { ...awsEnvironment(credentials), ...env },
      logFile: join(temporaryDirectory('nats3'), 'nats3.log'),
    });
  }

  get url(): string {
    return `http://${this.program.address}`;
  }

  /** The bucket, past any proxy of the server's own. */
  bucket(name: string): S3ObjectStore {
    const { accessKey: accessKeyId, secretKey: secretAccessKey, region } = this.credentials;
    return new S3ObjectStore({
      bucket: name,
      endpoint: this.s3,
      region,
      pathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
    });
  }

  async call<Body>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer<Body>> {
    const answer = await fetch(`${this.url}${path}`, {
      method,
      headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await answer.text();
    return { status: answer.status, body: (text === '' ? undefined : JSON.parse(text)) as Body };
  }

  /** The answer to something that should be done. */
  async done<Body>(method: string, path: string, body?: unknown): Promise<Body> {
    const answer = await this.call<Body>(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}\n${this.program.tail()}`);
    return answer.body;
  }

  /** The answer to something that should be refused. */
  async refused(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Problem> {
    const answer = await this.call<Problem>(method, path, body, headers);
    if (answer.status < 400) throw new Error(`${method} ${path} was not refused: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  store(order: object): Promise<JobAnswer> {
    return this.done('POST', '/store/job', { create_bucket: true, ...order });
  }

  load(order: object): Promise<JobAnswer> {
    return this.done('POST', '/load/job', order);
  }

  archive(bucket: string): Promise<ArchiveAnswer> {
    return this.done('GET', `/archive?bucket=${bucket}`);
  }

  /** Waits until the job fits; fails at once where it has failed unexpectedly. */
  async job(path: string, what: string, fits: (job: JobAnswer) => boolean, withinMs = 60_000): Promise<JobAnswer> {
    let last: JobAnswer | undefined;
    const ask = async (): Promise<JobAnswer | undefined> => {
      last = (await this.call<JobAnswer>('GET', path)).body;
      if (fits(last)) return last;
      if (last.status === 'failed') throw new Hopeless(`${path} has failed: ${JSON.stringify(last)}\n${this.program.tail()}`);
      return undefined;
    };
    return until(`${path}: ${what}`, ask, { withinMs }).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}\n${JSON.stringify(last)}\n${this.program.tail()}`);
    });
  }

  finished(path: string, withinMs?: number): Promise<JobAnswer> {
    return this.job(path, 'done', ({ status }) => status === 'done', withinMs);
  }
}

export function awsEnvironment({ accessKey, secretKey, region }: S3Access): Record<string, string> {
  return { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey, AWS_REGION: region };
}

export function linkTo(url: string): Promise<NatsLink> {
  return connectNats({ urls: [url], name: 'test' });
}

/**
 * Makes a stream of 40 messages and has a server that runs somewhere archive it. `nats3` runs the command line there, which reaches the server by
 * `flags`. Answers how many messages the bucket holds then.
 */
export async function archiveStream(
  nats: string,
  flags: readonly string[],
  bucket: string,
  nats3: (...args: string[]) => Promise<string>,
): Promise<number> {
  const link = await linkTo(nats);
  await link.manager.streams.add({ name: 'jobs', subjects: ['subjects-1'] });
  for (let i = 0; i < 40; i++) await link.jetstream.publish('subjects-1', `message ${i}`);
  await link.close();
  const job = ['--name', 'job-1', '--stream', 'jobs', '--subject', 'subjects-1', '--bucket', bucket, '--create-bucket'];
  await nats3(...flags, 'store', 'create', ...job, '--until', 'end', '--wait');
  const { jobs } = JSON.parse(await nats3(...flags, '--json', 'archive', 'ls', '--bucket', bucket)) as ArchiveAnswer;
  return jobs.reduce((sum, { messages }) => sum + messages, 0);
}
