import { randomBytes } from 'node:crypto';
import { blockFolder, parseTime, splitTime, trimPrefix } from '../archive/index.ts';
import { GatewayError } from '../core/errors.ts';
import { covers, overlaps } from '../core/subject.ts';
import type { ObjectStore } from '../core/strategy.ts';
import { ensureOrderedConsumer, ensureReplayStream, findStream, firstSequence, type NatsLink } from '../jetstream/index.ts';
import type { Buckets } from './buckets.ts';
import type { Nats3Settings } from './config.ts';
import { consumerOf, type JobRecord, type LoadSpec, type StoreSpec } from './job.ts';
import { ApiError } from './problems.ts';
import type { LoadRequest, StoreRequest } from './schema.ts';
import { mappedPattern, subjectMap } from './subject-map.ts';

export type OrderParts = { link: NatsLink; buckets: Buckets; settings: Pick<Nats3Settings, 'inflightBytesMax'> };

const idBytes = 5;

function newRecord(name: string): Pick<JobRecord, 'id' | 'name' | 'created' | 'wanted' | 'restarts'> {
  return { id: randomBytes(idBytes).toString('hex'), name, created: new Date().toISOString(), wanted: 'run', restarts: 0 };
}

/** Checks what a store job needs, resolves where it begins and ends, and makes its consumer: from now on nothing passes it by. */
export async function orderStore({ link, buckets, settings }: OrderParts, request: StoreRequest): Promise<JobRecord> {
  const { stream, subject, bucket, batch } = request;
  if (batch.max_bytes * 2 > settings.inflightBytesMax) {
    const most = Math.floor(settings.inflightBytesMax / 2);
    const message = `at most ${most}, half of what the server may hold`;
    throw new ApiError(400, 'FIELD_INVALID', `batch.max_bytes: ${message}`, 'raise --inflight-bytes-max of the server', [
      { field: 'batch.max_bytes', message },
    ]);
  }
  const info = await findStream(link, stream);
  if (info === undefined) throw streamMissing(stream);
  const subjects = info.config.subjects ?? [];
  if (subjects.length > 0 && !subjects.some((pattern) => overlaps(pattern, subject))) {
    throw new ApiError(
      422,
      'FILTER_OUTSIDE',
      `stream ${stream} has no subject ${subject}: it takes ${subjects.join(', ')}`,
      'give a subject that the stream takes, or > for all of them',
    );
  }
  await ensureBucket(buckets.bucket(bucket), request.create_bucket);
  const last = info.state.last_seq;
  const spec: StoreSpec = {
    stream,
    subject,
    bucket,
    prefix: trimPrefix(request.prefix),
    batch,
    compression: request.compression,
    format: request.format,
    create_bucket: request.create_bucket,
    start_seq: await startOf(link, request, last),
    ...(request.until === 'end' ? { end_seq: last } : {}),
  };
  const record: JobRecord = { ...newRecord(request.name), kind: 'store', spec };
  await ensureOrderedConsumer(link, {
    stream,
    consumer: consumerOf(record),
    filterSubjects: [subject],
    startSequence: Math.max(1, spec.start_seq),
  });
  return record;
}

async function startOf(link: NatsLink, { stream, start }: StoreRequest, last: number): Promise<number> {
  if (start === 'all') return 0;
  if (start === 'new') return last + 1;
  if (typeof start === 'number') return start;
  return (await firstSequence(link, stream, { fromMs: splitTime(parseTime(start)).timestamp })) ?? last + 1;
}

/** Checks what a load job needs, and finds or makes the stream that it writes to. */
export async function orderLoad({ link, buckets }: OrderParts, request: LoadRequest): Promise<JobRecord> {
  const { bucket, read_stream: readStream, read_subject: read, write_subject: write } = request;
  subjectMap(read, write);
  const prefix = trimPrefix(request.prefix);
  const store = buckets.bucket(bucket);
  await ensureBucket(store, false);
  if (!(await holds(store, blockFolder(prefix, readStream)))) {
    const where = prefix === '' ? '' : ` under prefix ${prefix}`;
    throw new ApiError(
      404,
      'ARCHIVE_MISSING',
      `bucket ${bucket} holds nothing of stream ${readStream}${where}`,
      'nats3 archive ls --bucket NAME lists what it holds',
    );
  }
  const pattern = mappedPattern(read, write);
  const spec: LoadSpec = {
    bucket,
    prefix,
    read_stream: readStream,
    read_job: request.read_job,
    read_subject: read,
    write_subject: write,
    write_stream: await targetOf(link, request, pattern),
    from: request.from,
    to: request.to,
    from_seq: request.from_seq,
    to_seq: request.to_seq,
    rate: request.rate,
    replay: request.replay,
    skip_damaged: request.skip_damaged,
  };
  const name = request.name ?? `load-${randomBytes(4).toString('hex')}`;
  return { ...newRecord(name), kind: 'load', spec };
}

async function holds(store: ObjectStore, folder: string): Promise<boolean> {
  for await (const _ of store.list(folder)) return true;
  return false;
}

async function ensureBucket(store: ObjectStore, create: boolean): Promise<void> {
  if (create) await store.bucket('create');
  else if (!(await store.bucket('exists')))
    throw new ApiError(404, 'BUCKET_MISSING', `there is no bucket ${store.name}`, 'create it, or give "create_bucket": true');
}

/** The one stream that takes the subjects. */
async function targetOf(link: NatsLink, request: LoadRequest, pattern: string): Promise<string> {
  const { write_stream: wanted, create_stream: create } = request;
  const streams = await streamsOf(link, pattern);
  if (wanted !== undefined) {
    if (streams.some(({ name }) => name === wanted)) return wanted;
    if ((await findStream(link, wanted)) !== undefined) {
      throw new ApiError(
        422,
        'TARGET_OUTSIDE',
        `stream ${wanted} does not take ${pattern}`,
        'change its subjects, or the write subject',
      );
    }
  }
  const covering = streams.filter(({ subjects }) => subjects.some((each) => covers(each, pattern)));
  const [only, ...others] = covering.length > 0 ? covering : streams;
  if (wanted === undefined && only !== undefined && others.length === 0) return only.name;
  if (wanted === undefined && only !== undefined) {
    const names = [only, ...others].map(({ name }) => name).join(', ');
    throw new ApiError(422, 'TARGET_AMBIGUOUS', `several streams take ${pattern}: ${names}`, 'name one with write_stream');
  }
  if (!create) {
    const what = wanted === undefined ? `no stream takes ${pattern}` : `there is no stream ${wanted}`;
    throw new ApiError(404, 'STREAM_MISSING', what, 'make one (nats stream add), or give "create_stream": true');
  }
  const name = wanted ?? nameFor(pattern);
  await ensureReplayStream(link, name, [pattern]);
  return name;
}

async function streamsOf(link: NatsLink, pattern: string): Promise<{ name: string; subjects: readonly string[] }[]> {
  const found: { name: string; subjects: readonly string[] }[] = [];
  for await (const { config } of link.manager.streams.list()) {
    const subjects = config.subjects ?? [];
    if (subjects.some((each) => overlaps(each, pattern))) found.push({ name: config.name, subjects });
  }
  return found;
}

/** `orders.*.new` makes ORDERS_NEW. */
function nameFor(pattern: string): string {
  const words = pattern.split('.').filter((token) => token !== '*' && token !== '>');
  return words.length === 0
    ? 'REPLAY'
    : words
        .join('_')
        .replace(/[^\w-]/g, '_')
        .toUpperCase();
}

function streamMissing(stream: string): GatewayError {
  return new ApiError(404, 'STREAM_MISSING', `there is no stream ${stream}`, 'nats stream ls lists them');
}
