import { setTimeout as pause } from 'node:timers/promises';
import { Option, type Command } from 'commander';
import { GatewayError } from '../core/errors.ts';
import type { Client } from './cli-client.ts';
import { colored, count, Progress, size, statusText, table, type Screen } from './cli-output.ts';
import { duration, integer, number, sizeInBytes } from './cli-values.ts';
import type { JobKind } from './job.ts';
import type { JobAnswer } from './schema.ts';

/** What a command is given besides its own options. */
export type Desk = { client: Client; screen: Screen };
export type DeskOf = () => Desk;

const pollMs = 250;

/** `nats3 store …` or `nats3 load …`. */
export function jobCommands(parent: Command, kind: JobKind, deskOf: DeskOf): void {
  const of = `${kind} job`;
  parent
    .command('list')
    .description(`list every ${of}`)
    .action(async () => {
      const { client, screen } = deskOf();
      const { jobs } = await client.call<{ jobs: JobAnswer[] }>('GET', `/${kind}/job`);
      if (screen.json) screen.out.write(`${JSON.stringify(jobs)}\n`);
      else screen.out.write(jobTable(jobs, screen));
    });
  const named = (verb: string, description: string): Command => parent.command(verb).description(description).argument('<name>');
  named('show', `show a ${of}`).action(async (name: string) => {
    const { client, screen } = deskOf();
    showJob(await client.call<JobAnswer>('GET', pathOf(kind, name)), screen);
  });
  for (const [verb, description] of [
    ['pause', `finish what is under way in a ${of}, and wait`],
    ['resume', `go on with a ${of}`],
  ] as const) {
    named(verb, description).action(async (name: string) => {
      const { client, screen } = deskOf();
      showJob(await client.call<JobAnswer>('POST', `${pathOf(kind, name)}/${verb}`), screen);
    });
  }
  named('delete', `end a ${of}; what it has done stays`).action(async (name: string) => {
    const { client, screen } = deskOf();
    await client.call('DELETE', pathOf(kind, name));
    screen.out.write(screen.json ? `${JSON.stringify({ kind, name, deleted: true })}\n` : `${of} ${name} is deleted\n`);
  });
  parent
    .command('watch')
    .description(`show every ${of} again and again, until interrupted`)
    .option('--interval <duration>', 'between two looks', duration, 1_000)
    .option('--count <n>', 'looks, then an end', integer)
    .action(async (options: { interval: number; count?: number }) => watch(kind, deskOf(), options));
}

type StoreOptions = {
  name: string;
  stream: string;
  subject: string;
  bucket: string;
  prefix?: string;
  maxMessages?: number;
  maxBytes?: number;
  maxAge?: number;
  compression?: string;
  level?: number;
  format?: string;
  start?: string;
  until?: string;
  createBucket?: boolean;
  wait?: boolean;
};

export function storeCreate(parent: Command, deskOf: DeskOf): void {
  parent
    .command('create')
    .description('archive a stream, or the part of it on a subject')
    .requiredOption('--name <name>', 'name of the job')
    .requiredOption('--stream <stream>', 'stream to archive')
    .requiredOption('--subject <subject>', 'subjects to archive, with * and >')
    .requiredOption('--bucket <bucket>', 'bucket to archive into')
    .option('--prefix <prefix>', 'folder in the bucket')
    .option('--max-messages <n>', 'most messages in an object', integer)
    .option('--max-bytes <size>', 'most bytes in an object, before compression', sizeInBytes)
    .option('--max-age <duration>', 'longest time until an object is written', duration)
    .addOption(new Option('--compression <kind>', 'of objects').choices(['zstd', 'gzip', 'none']))
    .option('--level <n>', 'level of the compression', integer)
    .addOption(new Option('--format <format>', 'of objects').choices(['n3b', 'ndjson']))
    .option('--start <where>', 'all, new, a sequence or a time')
    .addOption(new Option('--until <when>', 'live goes on for ever, end stops at what is there now').choices(['live', 'end']))
    .option('--create-bucket', 'make the bucket if it is not there')
    .option('--wait', 'show progress, and end when the job ends')
    .action(async (options: StoreOptions) => {
      const { maxMessages, maxBytes, maxAge, level, compression, start, wait, createBucket, ...plain } = options;
      const body = {
        ...plain,
        ...(createBucket === undefined ? {} : { create_bucket: createBucket }),
        ...(start === undefined ? {} : { start: /^\d+$/.test(start) ? Number(start) : start }),
        batch: { max_messages: maxMessages, max_bytes: maxBytes, max_age_ms: maxAge },
        ...(level === undefined ? { compression } : { compression: { algorithm: compression, level } }),
      };
      await create('store', body, wait === true, deskOf());
    });
}

type LoadOptions = {
  name?: string;
  bucket: string;
  readStream: string;
  readSubject: string;
  writeSubject?: string;
  [option: string]: unknown;
  wait?: boolean;
};

export function loadCreate(parent: Command, deskOf: DeskOf): void {
  parent
    .command('create')
    .description('publish what an archive holds')
    .requiredOption('--bucket <bucket>', 'bucket of the archive')
    .requiredOption('--read-stream <stream>', 'stream that was archived')
    .option('--read-subject <subject>', 'subjects to publish again, with * and >', '>')
    .option(
      '--write-subject <subject>',
      'subject to publish to, with {{wildcard(1)}} for the first *; the original one without it',
    )
    .option('--write-stream <stream>', 'stream to publish to, where several take the subject')
    .option('--name <name>', 'name of the job')
    .option('--prefix <prefix>', 'folder in the bucket')
    .option('--read-job <name>', 'only what this store job has archived')
    .option('--from <time>', 'from this time on (RFC 3339)')
    .option('--to <time>', 'up to this time, itself left out')
    .option('--from-seq <n>', 'from this sequence on', integer)
    .option('--to-seq <n>', 'up to this sequence', integer)
    .option('--rate <n>', 'messages a second at most', number)
    .addOption(
      new Option('--replay <pace>', 'as fast as it goes, or at the pace of the originals').choices(['instant', 'original']),
    )
    .option('--create-stream', 'make a stream if none takes the subject')
    .option('--skip-damaged', 'pass over what is damaged, and count it')
    .option('--wait', 'show progress, and end when the job ends')
    .action(async ({ wait, ...options }: LoadOptions) => {
      const body = Object.fromEntries(Object.entries(options).map(([name, value]) => [snake(name), value]));
      await create('load', body, wait === true, deskOf());
    });
}

async function create(kind: JobKind, body: object, wait: boolean, { client, screen }: Desk): Promise<void> {
  const job = await client.call<JobAnswer>('POST', `/${kind}/job`, body);
  if (!wait) {
    showJob(job, screen);
    return;
  }
  const progress = new Progress(screen);
  for (;;) {
    const { status, messages, rate, lag } = await client.call<JobAnswer>('GET', pathOf(kind, job.name));
    if (status === 'done' || status === 'failed') break;
    const part = lag === undefined || messages + lag === 0 ? undefined : messages / (messages + lag);
    progress.show(part, `${job.name} ${status}: ${count(messages)} messages, ${count(rate)}/s`);
    await pause(pollMs);
  }
  progress.end();
  const end = await client.call<JobAnswer>('GET', pathOf(kind, job.name));
  showJob(end, screen);
  if (end.status === 'failed') {
    const { code = 'JOB_FAILED', message = 'the job has failed', hint } = end.last_error ?? {};
    throw new GatewayError(code, message, { hint });
  }
}

async function watch(kind: JobKind, { client, screen }: Desk, options: { interval: number; count?: number }): Promise<void> {
  const { out, json } = screen;
  let lines = 0;
  for (let look = 1; ; look++) {
    const { jobs } = await client.call<{ jobs: JobAnswer[] }>('GET', `/${kind}/job`);
    const text = json ? `${JSON.stringify(jobs)}\n` : jobTable(jobs, screen);
    // Over what stood there before.
    if (out.isTTY && !json && lines > 0) out.write(`\u001b[${lines}A\u001b[J`);
    out.write(text);
    lines = text.split('\n').length - 1;
    if (look === options.count) return;
    await pause(options.interval);
  }
}

function jobTable(jobs: readonly JobAnswer[], { out }: Screen): string {
  const head = ['NAME', 'STATUS', 'FROM', 'TO', 'MESSAGES', 'SIZE', 'RATE/S', 'LAG', 'REASON'];
  const rows = jobs.map((job) => {
    const [from, to] = endsOf(job);
    const { name, status, messages, bytes, rate, lag, reason = '' } = job;
    const lagText = lag === undefined ? '' : count(lag);
    return [name, statusText(status, colored(out)), from, to, count(messages), size(bytes), count(rate), lagText, reason];
  });
  return table(head, rows);
}

function endsOf({ kind, spec }: JobAnswer): [string, string] {
  const text = (key: string): string => (typeof spec[key] === 'string' ? spec[key] : '');
  const place = [text('bucket'), text('prefix')].filter((part) => part !== '').join('/');
  if (kind === 'store') return [`${text('stream')} ${text('subject')}`, place];
  return [
    `${place} ${text('read_stream')} ${text('read_subject')}`,
    `${text('write_stream')} ${text('write_subject')}`.trimEnd(),
  ];
}

function showJob(job: JobAnswer, screen: Screen): void {
  if (screen.json) {
    screen.out.write(`${JSON.stringify(job)}\n`);
    return;
  }
  const { spec, last_error: error, ...facts } = job;
  const rows = Object.entries({ ...facts, status: statusText(job.status, colored(screen.out)), ...spec })
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([key, value]) => [key, typeof value === 'object' ? JSON.stringify(value) : String(value)]);
  if (error !== undefined) rows.push(['last error', `${error.at} ${error.code}: ${error.message}`]);
  const width = Math.max(...rows.map(([key = '']) => key.length));
  screen.out.write(rows.map(([key = '', value = '']) => `${key.padEnd(width)}  ${value}\n`).join(''));
}

function pathOf(kind: JobKind, name: string): string {
  return `/${kind}/job/${encodeURIComponent(name)}`;
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
