import { z } from 'zod';

/** What the API takes. Field names are those of the JSON; unknown ones are refused. */
const jobName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'letters, digits, - and _, at most 64, beginning with a letter or digit');
const streamName = z.string().regex(/^[^\s.*>/\\]{1,255}$/, 'a name of a stream: without dots, *, >, slashes and white space');
const subjectPattern = z
  .string()
  .max(1_024)
  .regex(/^(?:(?:\*|[^\s.*>\0]+)\.)*(?:\*|>|[^\s.*>\0]+)$/, 'a subject such as orders.*.new or orders.>');
const bucketName = z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'a name of a bucket: 3 to 63 of a-z, 0-9, - and .');
const prefix = z
  .string()
  .max(512)
  .regex(/^\P{Cc}*$/u, 'text without control characters');
const time = z.iso.datetime({ offset: true, error: 'a time in RFC 3339 form such as 2026-01-31T12:00:00Z' });
const sequence = z.int().min(1).max(Number.MAX_SAFE_INTEGER);

const algorithms = ['zstd', 'gzip', 'none'] as const;
/** On text as small as level 3 and twice as fast (measured on parts of 1 MB). */
const zstdLevel = 1;
const level = z.int().min(-7).max(22);

const compression = z
  .union([z.enum(algorithms), z.strictObject({ algorithm: z.enum(algorithms).default('zstd'), level: level.optional() })])
  .default('zstd')
  .transform((given) => {
    const { algorithm, level: wanted } = typeof given === 'string' ? { algorithm: given, level: undefined } : given;
    return { algorithm, level: wanted ?? (algorithm === 'zstd' ? zstdLevel : undefined) };
  });

const batch = z.strictObject({
  max_messages: z.int().min(1).max(1_000_000).default(100_000),
  max_bytes: z
    .int()
    .min(1_024)
    .max(2 ** 30)
    .default(8 * 2 ** 20),
  max_age_ms: z.int().min(10).max(86_400_000).default(10_000),
});

export const storeRequest = z.strictObject({
  name: jobName,
  stream: streamName,
  subject: subjectPattern,
  bucket: bucketName,
  prefix: prefix.default(''),
  batch: batch.prefault({}),
  compression,
  format: z.enum(['n3b', 'ndjson']).default('n3b'),
  start: z.union([z.enum(['all', 'new']), sequence, time]).default('all'),
  until: z.enum(['live', 'end']).default('live'),
  create_bucket: z.boolean().default(false),
});

export const loadRequest = z.strictObject({
  name: jobName.optional(),
  bucket: bucketName,
  prefix: prefix.default(''),
  read_stream: streamName,
  read_job: jobName.optional(),
  read_subject: subjectPattern.default('>'),
  write_subject: z.string().min(1).max(1_024).optional(),
  write_stream: streamName.optional(),
  from: time.optional(),
  to: time.optional(),
  from_seq: sequence.optional(),
  to_seq: sequence.optional(),
  rate: z.number().positive().max(10_000_000).optional(),
  replay: z.enum(['instant', 'original']).default('instant'),
  skip_damaged: z.boolean().default(false),
  create_stream: z.boolean().default(false),
});

export type StoreRequest = z.output<typeof storeRequest>;
export type LoadRequest = z.output<typeof loadRequest>;

const error = z.object({ code: z.string(), message: z.string(), hint: z.string().optional(), at: z.string() });

/** What the API tells of a job. */
export const jobAnswer = z.object({
  kind: z.enum(['store', 'load']),
  name: z.string(),
  id: z.string(),
  status: z.enum(['running', 'paused', 'degraded', 'done', 'failed']),
  reason: z.string().optional(),
  created: z.string(),
  updated: z.string().optional(),
  server: z.string().optional(),
  messages: z.number(),
  bytes: z.number(),
  stored_bytes: z.number().optional(),
  objects: z.number(),
  skipped: z.number().optional(),
  first_seq: z.number().optional(),
  last_seq: z.number().optional(),
  lag: z.number().optional(),
  rate: z.number(),
  last_error: error.optional(),
  spec: z.record(z.string(), z.unknown()),
});

export type JobAnswer = z.output<typeof jobAnswer>;

/** What the API tells of an archive. */
export const archiveAnswer = z.object({
  bucket: z.string(),
  prefix: z.string().optional(),
  jobs: z.array(
    z.object({
      prefix: z.string(),
      stream: z.string(),
      stream_created: z.string(),
      job: z.string(),
      first_seq: z.number(),
      last_seq: z.number(),
      first_time: z.string(),
      last_time: z.string(),
      messages: z.number(),
      bytes: z.number(),
      objects: z.number(),
      stored_bytes: z.number(),
    }),
  ),
  /** Keys of blocks whose header is damaged. */
  unreadable: z.array(z.string()),
});

export type ArchiveAnswer = z.output<typeof archiveAnswer>;

/** Errors, by RFC 9457. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.string(),
  detail: z.string(),
  hint: z.string().optional(),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
});

export type Problem = z.output<typeof problem>;
