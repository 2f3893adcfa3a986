import type { BlockFormat, Compression } from '../archive/index.ts';

export type JobKind = 'store' | 'load';

/** What a store job is to do, complete: defaults filled in, `start` and `until` resolved to sequences. Names as in the API. */
export type StoreSpec = {
  stream: string;
  subject: string;
  bucket: string;
  prefix: string;
  batch: { max_messages: number; max_bytes: number; max_age_ms: number };
  compression: { algorithm: Compression; level?: number | undefined };
  format: BlockFormat;
  create_bucket: boolean;
  /** The first message to store; 0 for whatever comes first. */
  start_seq: number;
  /** The last message to store; without it the job goes on. */
  end_seq?: number;
};

export type LoadSpec = {
  bucket: string;
  prefix: string;
  read_stream: string;
  read_job?: string | undefined;
  read_subject: string;
  /** Without it the original subject. */
  write_subject?: string | undefined;
  write_stream: string;
  /** RFC 3339. */
  from?: string | undefined;
  to?: string | undefined;
  from_seq?: number | undefined;
  to_seq?: number | undefined;
  rate?: number | undefined;
  replay: 'instant' | 'original';
  skip_damaged: boolean;
};

/** A job as it was ordered: written by whoever answers the API. */
export type JobRecord = { id: string; name: string; created: string; wanted: 'run' | 'pause' | 'delete'; restarts: number } & (
  | { kind: 'store'; spec: StoreSpec }
  | { kind: 'load'; spec: LoadSpec }
);

export type StoreRecord = Extract<JobRecord, { kind: 'store' }>;
export type LoadRecord = Extract<JobRecord, { kind: 'load' }>;

type JobStatus = 'running' | 'paused' | 'degraded' | 'done' | 'failed';

type JobError = { code: string; message: string; hint?: string | undefined; at: string };

/** Where a store job is in a stream. */
export type StoreCursor = {
  streamCreated: string;
  /** Everything up to here is in the bucket. */
  sequence: number;
  /** Last sequences of blocks that were cut and may or may not be in the bucket: cut there again, they are the same objects. */
  cuts: number[];
};

/** Where a load job is, in the archive and in the stream that it writes to. */
export type LoadCursor = {
  /** Of the archived stream: which life of it, and the last message of it that is in the target. */
  streamCreated: string;
  sequence: number;
  /** The target stream's life, and the sequence that the message got there. */
  targetCreated: string;
  targetSequence: number;
  /** How the target is published to (`ChainSettings.mode`), and how often in a row somebody else came in between. */
  mode: 'linked' | 'apart';
  breaks: number;
};

/** What became of a job so far: written by the server that runs it, and by nobody else. */
export type JobState = {
  id: string;
  status: JobStatus;
  reason?: string | undefined;
  lastError?: JobError | undefined;
  server: string;
  updated: string;
  restarts: number;
  messages: number;
  bytes: number;
  storedBytes: number;
  objects: number;
  firstSequence: number;
  lastSequence: number;
  skipped: number;
  lag: number | undefined;
  rate: number;
  store?: StoreCursor | undefined;
  load?: LoadCursor | undefined;
  /** Tells one write from another, where an answer was lost. */
  nonce: string;
};

export function freshState(record: JobRecord, server: string): JobState {
  return {
    id: record.id,
    status: 'running',
    server,
    updated: '',
    restarts: record.restarts,
    messages: 0,
    bytes: 0,
    storedBytes: 0,
    objects: 0,
    firstSequence: 0,
    lastSequence: 0,
    skipped: 0,
    lag: undefined,
    rate: 0,
    nonce: '',
  };
}

/** True when nothing is to be done for the job, whoever runs it. */
export function isSettled(record: JobRecord, state: JobState | undefined): boolean {
  if (record.wanted === 'delete' || state === undefined) return false;
  if (record.wanted === 'pause') return state.status === 'paused' || isOver(record, state);
  return isOver(record, state);
}

/** Done or failed, and not started again since. */
export function isOver(record: JobRecord, state: JobState): boolean {
  return (state.status === 'done' || state.status === 'failed') && state.restarts >= record.restarts;
}

/** `store.job-1`, the end of the keys that belong to a job. */
export function jobKey({ kind, name }: Pick<JobRecord, 'kind' | 'name'>): string {
  return `${kind}.${name}`;
}

/** Durable consumer of a store job. The id is in it: a job of the same name that comes later is another one. */
export function consumerOf(record: JobRecord): string {
  return `nats3-${record.name}-${record.id}`;
}
