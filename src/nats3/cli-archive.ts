import { once } from 'node:events';
import type { Command } from 'commander';
import {
  compactArchive,
  findBlocks,
  formatTime,
  messageToJson,
  pruneArchive,
  readArchive,
  verifyArchive,
  type BlockPlace,
  type Finding,
  type Selection,
} from '../archive/index.ts';
import { GatewayError } from '../core/errors.ts';
import type { ObjectStore } from '../core/strategy.ts';
import { retryingStore } from '../objects/index.ts';
import { Buckets } from './buckets.ts';
import type { DeskOf } from './cli-jobs.ts';
import { count, Progress, size, table, type Screen } from './cli-output.ts';
import { duration, integer, sizeInBytes, time } from './cli-values.ts';
import type { ArchiveAnswer } from './schema.ts';

type StorageOptions = {
  bucket: string;
  s3Endpoint?: string;
  s3Region?: string;
  s3PathStyle?: boolean;
  s3CaFile?: string;
  s3Timeout: number;
};
type PlaceOptions = { prefix?: string; stream?: string; job?: string };

/** A person waits: what does not pass soon is told. */
const triesMax = 4;

/** `nats3 archive …`. All but `ls` read the bucket itself, and need no server. */
export function archiveCommands(parent: Command, screenOf: () => Screen, deskOf: DeskOf): void {
  parent
    .command('ls')
    .description('list what a bucket holds, by stream and job')
    .requiredOption('--bucket <bucket>', 'bucket')
    .option('--prefix <prefix>', 'folder in the bucket; any without it')
    .action(async ({ bucket, prefix }: { bucket: string; prefix?: string }) => {
      const { client, screen } = deskOf();
      const query = new URLSearchParams({ bucket, ...(prefix === undefined ? {} : { prefix }) });
      const answer = await client.call<ArchiveAnswer>('GET', `/archive?${query.toString()}`);
      screen.out.write(screen.json ? `${JSON.stringify(answer)}\n` : archiveTable(answer));
    });
  withPlace(withStorage(parent.command('verify').description('read every block, and look for damage, gaps and overlaps'))).action(
    async (options: StorageOptions & PlaceOptions) => withStore(options, (store) => verify(store, placeOf(options), screenOf())),
  );
  withStorage(parent.command('cat').description('print messages, one JSON object a line'))
    .requiredOption('--stream <stream>', 'stream that was archived')
    .option('--prefix <prefix>', 'folder in the bucket')
    .option('--job <job>', 'only of this store job')
    .option('--subject <subject>', 'only these subjects, with * and >')
    .option('--from <time>', 'from this time on (RFC 3339)', time)
    .option('--to <time>', 'up to this time, itself left out', time)
    .option('--from-seq <n>', 'from this sequence on', integer)
    .option('--to-seq <n>', 'up to this sequence', integer)
    .option('--limit <n>', 'so many at most', integer)
    .option('--skip-damaged', 'pass over what is damaged, and say so')
    .action(async (options: StorageOptions & CatOptions) => withStore(options, (store) => cat(store, options, screenOf())));
  withPlace(withStorage(parent.command('prune').description('remove blocks all of whose messages are older')))
    .requiredOption('--before <time>', 'older than this (RFC 3339)', time)
    .option('--dry-run', 'remove nothing, and say what would be')
    .action(async (options: StorageOptions & PlaceOptions & { before: bigint; dryRun?: boolean }) =>
      withStore(options, (store) => prune(store, options, screenOf())),
    );
  withPlace(withStorage(parent.command('compact').description('make large blocks of small ones, and resolve overlaps')))
    .option('--target-bytes <size>', 'content of a block that is large enough', sizeInBytes, 64 * 2 ** 20)
    .option('--level <n>', 'level of the compression', integer)
    .action(async (options: StorageOptions & PlaceOptions & { targetBytes: number; level?: number }) =>
      withStore(options, (store) => compact(store, options, screenOf())),
    );
}

function withStorage(command: Command): Command {
  const { S3_ENDPOINT: endpoint, AWS_REGION: region } = process.env;
  return command
    .requiredOption('--bucket <bucket>', 'bucket')
    .option('--s3-endpoint <url>', 'address of the storage (S3_ENDPOINT); Amazon’s own without it', endpoint)
    .option('--s3-region <region>', 'region of the bucket (AWS_REGION)', region)
    .option('--s3-path-style', 'the bucket stands in the path; true where an endpoint is given')
    .option('--no-s3-path-style', 'the bucket stands in the host name')
    .option('--s3-ca-file <file>', 'PEM file of the authority that signed the storage’s certificate')
    .option('--s3-timeout <duration>', 'longest silence of the storage', duration, 30_000);
}

function withPlace(command: Command): Command {
  return command
    .option('--prefix <prefix>', 'folder in the bucket; any without it')
    .option('--stream <stream>', 'only of this stream')
    .option('--job <job>', 'only of this store job');
}

async function withStore(options: StorageOptions, work: (store: ObjectStore) => Promise<void>): Promise<void> {
  const { bucket, s3Endpoint, s3Region, s3PathStyle, s3CaFile, s3Timeout } = options;
  const buckets = new Buckets({ s3Endpoint, s3Region, s3PathStyle, s3CaFile, s3Timeout });
  try {
    await work(retryingStore(buckets.bucket(bucket), { triesMax }));
  } finally {
    await buckets.close();
  }
}

function placeOf({ prefix, stream, job }: PlaceOptions): BlockPlace {
  return { prefix, stream, job };
}

function archiveTable({ jobs, unreadable }: ArchiveAnswer): string {
  const head = ['PREFIX', 'STREAM', 'JOB', 'FIRST', 'LAST', 'FROM', 'TO', 'MESSAGES', 'SIZE', 'STORED', 'OBJECTS'];
  const rows = jobs.map((job) => [
    job.prefix,
    job.stream,
    job.job,
    String(job.first_seq),
    String(job.last_seq),
    job.first_time.slice(0, 19),
    job.last_time.slice(0, 19),
    count(job.messages),
    size(job.bytes),
    size(job.stored_bytes),
    count(job.objects),
  ]);
  const damaged = unreadable.map((key) => `damaged: ${key}\n`).join('');
  return `${table(head, rows)}${damaged}`;
}

type Sums = { blocks: number; messages: number; bytes: number; unreadable: number; gaps: number; overlaps: number };

async function verify(store: ObjectStore, place: BlockPlace, screen: Screen): Promise<void> {
  let [total, done] = [0, 0];
  for await (const { bytes } of findBlocks(store, place)) total += bytes;
  const sums: Sums = { blocks: 0, messages: 0, bytes: 0, unreadable: 0, gaps: 0, overlaps: 0 };
  const findings: Exclude<Finding, { is: 'whole' }>[] = [];
  const progress = new Progress(screen);
  for await (const finding of verifyArchive(store, place)) {
    if ('bytes' in finding) {
      done += finding.bytes;
      sums.bytes += finding.bytes;
      sums.blocks++;
    }
    if (finding.is === 'whole') sums.messages += finding.messages;
    else findings.push(finding);
    if (finding.is === 'unreadable') sums.unreadable++;
    if (finding.is === 'gap' && finding.certain) sums.gaps++;
    if (finding.is === 'overlap') sums.overlaps++;
    progress.show(total === 0 ? undefined : done / total, `${count(sums.blocks)} blocks, ${size(done)}`);
  }
  progress.end();
  if (screen.json) screen.out.write(`${JSON.stringify({ ...sums, findings: findings.map(plain) })}\n`);
  else {
    screen.out.write(findings.map((finding) => `${describe(finding)}\n`).join(''));
    screen.out.write(
      `${count(sums.blocks)} blocks, ${count(sums.messages)} messages, ${size(sums.bytes)}: ` +
        `${sums.unreadable} damaged, ${sums.gaps} gaps, ${sums.overlaps} overlaps\n`,
    );
  }
  if (sums.unreadable + sums.gaps > 0) {
    throw new GatewayError('ARCHIVE_DAMAGED', `the archive in bucket ${store.name} is not whole`, {
      hint: 'restore the objects named above from a copy',
    });
  }
}

function plain(finding: Exclude<Finding, { is: 'whole' }>): object {
  if (finding.is !== 'unreadable') return finding;
  const { error, ...rest } = finding;
  return { ...rest, code: error.code, message: error.message };
}

function describe(finding: Exclude<Finding, { is: 'whole' }>): string {
  if (finding.is === 'unreadable') return `damaged   ${finding.error.message}`;
  const { key, from, to } = finding;
  if (finding.is === 'overlap') return `overlap   messages ${from} to ${to}, again in ${key}: each is read once`;
  return `${finding.certain ? 'gap       ' : 'unknown   '}messages ${from} to ${to} before ${key}`;
}

type CatOptions = {
  stream: string;
  prefix?: string;
  job?: string;
  subject?: string;
  from?: bigint;
  to?: bigint;
  fromSeq?: number;
  toSeq?: number;
  limit?: number;
  skipDamaged?: boolean;
};

async function cat(store: ObjectStore, options: CatOptions, { out, err }: Screen): Promise<void> {
  const { stream, job, prefix, subject, from, to, fromSeq, toSeq, limit = Number.POSITIVE_INFINITY, skipDamaged } = options;
  const selection: Selection = {
    prefix,
    stream,
    jobs: job === undefined ? undefined : [job],
    fromSequence: fromSeq,
    toSequence: toSeq,
    from,
    to,
    subjects: subject === undefined ? undefined : [subject],
  };
  const onDamage = (error: GatewayError): void => void err.write(`${error.message}\n`);
  let left = limit;
  for await (const { streamCreated, messages } of readArchive(store, selection, skipDamaged === true ? { onDamage } : {})) {
    const wanted = messages.slice(0, left);
    left -= wanted.length;
    const lines = wanted.map((message) => `${JSON.stringify(messageToJson(message, stream, streamCreated))}\n`).join('');
    if (!out.write(lines)) await once(out, 'drain');
    if (left <= 0) return;
  }
}

async function prune(
  store: ObjectStore,
  options: PlaceOptions & { before: bigint; dryRun?: boolean },
  screen: Screen,
): Promise<void> {
  const { before, dryRun = false } = options;
  const keys: string[] = [];
  let [messages, bytes] = [0, 0];
  for await (const block of pruneArchive(store, { ...placeOf(options), before, dryRun })) {
    keys.push(block.key);
    messages += block.header.messages;
    bytes += block.bytes;
    if (!screen.json) screen.out.write(`${block.key}\n`);
  }
  if (screen.json)
    screen.out.write(`${JSON.stringify({ dry_run: dryRun, blocks: keys.length, messages, stored_bytes: bytes, keys })}\n`);
  else {
    const done = dryRun ? 'would be removed' : 'removed';
    screen.out.write(`${count(keys.length)} blocks, ${count(messages)} messages before ${formatTime(before)} ${done}\n`);
  }
}

async function compact(
  store: ObjectStore,
  options: PlaceOptions & { targetBytes: number; level?: number },
  screen: Screen,
): Promise<void> {
  const { targetBytes, level } = options;
  const sums = { removed: 0, written: 0, messages: 0, left: 0 };
  const progress = new Progress(screen);
  for await (const step of compactArchive(store, { ...placeOf(options), targetBytes, level })) {
    if (step.is === 'left') {
      sums.left += step.keys.length;
      if (!screen.json)
        screen.err.write(`left as they are: ${step.keys.length} blocks from ${step.keys[0]} on: ${step.reason}\n`);
      continue;
    }
    sums.removed += step.removed.length;
    sums.written += step.written.length;
    sums.messages += step.messages;
    progress.show(undefined, `${count(sums.removed)} blocks made into ${count(sums.written)}`);
  }
  progress.end();
  if (screen.json) screen.out.write(`${JSON.stringify(sums)}\n`);
  else screen.out.write(`${count(sums.removed)} blocks made into ${count(sums.written)}, ${count(sums.messages)} messages\n`);
}
