import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig, type StreamInfo } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { GatewayError } from '../core/errors.ts';
import { covers, overlaps } from '../core/subject.ts';
import type { NatsLink } from './connect.ts';
import { apiCode, apiErrorCode, natsFailure } from './failures.ts';
import { checkShape } from './stream-shape.ts';
import { checkName } from './subjects.ts';

export type StreamSettings = {
  name: string;
  subjects?: readonly string[];
  /** It is only read from: an existing stream may have other subjects. */
  readOnly?: boolean;
  /** Byte limit as the user set it; without it, one that the account allows is chosen for a new stream, and an existing one's is kept. */
  maxBytes?: number;
  replicas?: number;
};

/** What tells one life of a stream from another. */
export type StreamIdentity = {
  name: string;
  /** Creation time as the server prints it. */
  created: string;
  /** Sequence of the oldest message held; one above `lastSeq` when the stream is empty. */
  firstSeq: number;
  lastSeq: number;
};

export type EnsuredStream = {
  identity: StreamIdentity;
  was: 'created' | 'found' | 'changed';
  maxBytes: number;
  warnings: readonly string[];
};

const changeSubjects = 'es.>';
const gibibyte = 2 ** 30;
const changeBytes = 10 * gibibyte;
const deadLetterBytes = gibibyte;
const leastBytes = 2 ** 20;
/** Of the space that there is, a stream of changes takes this much at most. */
const shareTaken = 0.75;
const duplicateWindowMs = 120_000;

/** Makes or adopts the stream of changes (subjects `es.>`). Throws STREAM_SHAPE, STREAM_OVERLAP, STREAM_SPACE, NATS_*, JETSTREAM_*. */
export function ensureChangeStream(link: NatsLink, settings: StreamSettings): Promise<EnsuredStream> {
  return ensure(link, { subjects: [changeSubjects], ...settings }, changeBytes, 'Changes of a search cluster');
}

/** Makes or adopts the stream of dead letters (subjects `dlq.es.>`). Errors as for the stream of changes. */
export function ensureDeadLetterStream(link: NatsLink, settings: StreamSettings): Promise<EnsuredStream> {
  return ensure(link, { subjects: ['dlq.es.>'], ...settings }, deadLetterBytes, 'Changes that a target refused');
}

/** Makes or adopts a stream that takes these subjects, for messages that are published again. Errors as for the stream of changes. */
export function ensureReplayStream(link: NatsLink, name: string, subjects: readonly string[]): Promise<EnsuredStream> {
  return ensure(link, { name, subjects }, changeBytes, 'Messages published again from an archive');
}

/**
 * Makes or adopts a stream that takes what is published below `prefix` and stores it under the subjects `es.>`, so that it can stand on one
 * server beside the stream of changes. A stream that takes `es.>` itself is turned into one while it is empty. Throws STREAM_TAKEN, and
 * what `ensureChangeStream` throws.
 */
export async function ensureOutputStream(link: NatsLink, prefix: string, settings: StreamSettings): Promise<EnsuredStream> {
  const wanted = { ...settings, subjects: [`${prefix}.${changeSubjects}`] };
  const transform = { src: `${prefix}.${changeSubjects}`, dest: changeSubjects };
  const existing = await findStream(link, settings.name);
  if (existing !== undefined && takesChanges(existing)) {
    checkShape(existing, [changeSubjects]);
    if (existing.state.messages > 0) throw taken(existing);
    try {
      await link.manager.streams.update(settings.name, { subjects: wanted.subjects, subject_transform: transform });
    } catch (error) {
      throw natsFailure(error, `changing the subjects of stream ${settings.name}`);
    }
  }
  return ensure(link, { ...wanted, transform }, changeBytes, 'Changes of a search cluster, as a gateway passes them on');
}

function taken(info: StreamInfo): GatewayError {
  const { name } = info.config;
  return new GatewayError(
    'STREAM_TAKEN',
    `stream ${name} takes ${changeSubjects} itself and holds ${info.state.messages} messages: the gateway cannot make it its output`,
    {
      hint:
        `either let its consumers finish, stop the watcher, empty it (nats stream purge ${name}) and start the gateway before the watcher;` +
        ` or leave it as it is: --upstream-stream ${name} --downstream-stream ES_FILTERED, and es-writer --stream ES_FILTERED`,
    },
  );
}

function takesChanges(info: StreamInfo): boolean {
  return (info.config.subjects ?? []).some((pattern) => covers(pattern, changeSubjects));
}

/**
 * The stream that a publisher of changes is to use where it was told `name`: another one if `name` is the output of a gateway on this
 * server, which takes only what the gateway lets through. That is the stream that takes `es.>`, by default `{name}_RAW`.
 */
export async function changeStreamFor(link: NatsLink, name: string): Promise<string> {
  const info = await findStream(link, name);
  if (info === undefined || takesChanges(info) || info.config.subject_transform?.dest !== changeSubjects) return name;
  try {
    for await (const found of link.manager.streams.names(changeSubjects)) if (found !== name) return found;
    return rawStreamOf(name);
  } catch (error) {
    throw natsFailure(error, `looking for the stream that takes ${changeSubjects}`);
  }
}

export function rawStreamOf(name: string): string {
  return `${name}_RAW`;
}

/**
 * What `ensureChangeStream`, `ensureDeadLetterStream` or `ensureOutputStream` would find, and nothing changed; undefined where they would make
 * a stream. Throws what they would throw. A stream of changes may have any subjects, as it is to be read.
 */
export async function examineStream(
  link: NatsLink,
  name: string,
  of: 'changes' | 'dead letters' | 'output',
): Promise<{ identity: StreamIdentity; warnings: readonly string[] } | undefined> {
  const subjects = of === 'output' ? [] : [of === 'changes' ? changeSubjects : 'dlq.es.>'];
  const info = await findStream(link, name);
  if (info !== undefined) {
    if (of === 'output' && takesChanges(info) && info.state.messages > 0) throw taken(info);
    return { identity: identityOf(info), warnings: checkShape(info, of === 'dead letters' ? subjects : []) };
  }
  await refuseOverlap(link, { name, subjects });
  return undefined;
}

/** The stream's name, creation time and range; undefined when there is no such stream. */
export async function streamIdentity(link: NatsLink, name: string): Promise<StreamIdentity | undefined> {
  const info = await findStream(link, name);
  return info === undefined ? undefined : identityOf(info);
}

export async function findStream(link: NatsLink, name: string): Promise<StreamInfo | undefined> {
  try {
    return await link.manager.streams.info(name);
  } catch (error) {
    if (apiErrorCode(error) === apiCode.streamNotFound) return undefined;
    throw natsFailure(error, `reading stream ${name}`);
  }
}

function identityOf(info: StreamInfo): StreamIdentity {
  return { name: info.config.name, created: info.created, firstSeq: info.state.first_seq, lastSeq: info.state.last_seq };
}

/** `transform` turns the subjects that the stream takes into those that it stores. */
type Wanted = StreamSettings & { subjects: readonly string[]; transform?: { src: string; dest: string } };

async function ensure(link: NatsLink, wanted: Wanted, defaultBytes: number, description: string): Promise<EnsuredStream> {
  checkName(wanted.name, '--stream (STREAM)');
  const existing = await findStream(link, wanted.name);
  if (existing !== undefined) return adopt(link, wanted, existing);
  await refuseOverlap(link, wanted);
  try {
    return await create(link, wanted, defaultBytes, description);
  } catch (error) {
    // Watcher and writer may start at the same moment: the one that comes second adopts what the first one made.
    const rival = apiErrorCode(error) === apiCode.streamExists ? await findStream(link, wanted.name) : undefined;
    if (rival !== undefined) return adopt(link, wanted, rival);
    if (apiErrorCode(error) === apiCode.subjectOverlap) await refuseOverlap(link, wanted);
    throw natsFailure(error, `creating stream ${wanted.name}`);
  }
}

async function adopt(link: NatsLink, wanted: Wanted, info: StreamInfo): Promise<EnsuredStream> {
  const warnings = checkShape(info, wanted.readOnly === true ? [] : wanted.subjects);
  const changes: Partial<StreamConfig> = {};
  if (wanted.maxBytes !== undefined && wanted.maxBytes !== info.config.max_bytes) changes.max_bytes = wanted.maxBytes;
  if (wanted.replicas !== undefined && wanted.replicas !== info.config.num_replicas) changes.num_replicas = wanted.replicas;
  // A byte limit under what the stream holds is fine with discard new: it is full until it was read. With discard old it would drop.
  if (changes.max_bytes !== undefined) changes.discard = DiscardPolicy.New;
  if (Object.keys(changes).length === 0)
    return { identity: identityOf(info), was: 'found', maxBytes: info.config.max_bytes, warnings };
  try {
    const updated = await link.manager.streams.update(wanted.name, changes);
    return { identity: identityOf(updated), was: 'changed', maxBytes: updated.config.max_bytes, warnings };
  } catch (error) {
    if (changes.max_bytes !== undefined && isSpaceRefusal(error)) throw spaceFailure(wanted.name, changes.max_bytes, error);
    throw natsFailure(error, `changing ${Object.keys(changes).join(', ')} of stream ${wanted.name}`);
  }
}

async function create(link: NatsLink, wanted: Wanted, defaultBytes: number, description: string): Promise<EnsuredStream> {
  const { streams } = link.manager;
  // How much a server has left cannot be asked for. So a stream that takes what there is, is made larger than it is to be: what it then gives
  // back stays free, for dead letters and for documents too large for a message.
  const leaves = wanted.maxBytes === undefined && defaultBytes === changeBytes;
  const { made, maxBytes } = await fitted(link, wanted, defaultBytes, async (bytes) => {
    const larger = await streams.add({
      name: wanted.name,
      subjects: [...wanted.subjects],
      description,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.New,
      storage: StorageType.File,
      max_bytes: leaves ? Math.floor(bytes / shareTaken) : bytes,
      num_replicas: wanted.replicas ?? 1,
      duplicate_window: nanos(duplicateWindowMs),
      allow_direct: true,
      ...(wanted.transform === undefined ? {} : { subject_transform: wanted.transform }),
    });
    return leaves ? streams.update(wanted.name, { max_bytes: bytes }) : larger;
  });
  return { identity: identityOf(made), was: 'created', maxBytes, warnings: [] };
}

/**
 * Makes something with a byte limit: the given one, or the largest up to the default that the server accepts. Throws STREAM_SPACE and
 * whatever else `make` throws.
 */
export async function fitted<Made>(
  link: NatsLink,
  wanted: { name: string; maxBytes?: number },
  defaultBytes: number,
  make: (maxBytes: number) => Promise<Made>,
): Promise<{ made: Made; maxBytes: number }> {
  let maxBytes = wanted.maxBytes ?? (await roomFor(link, defaultBytes));
  for (;;) {
    try {
      return { made: await make(maxBytes), maxBytes };
    } catch (error) {
      if (!isSpaceRefusal(error)) throw error;
      // Reservations of other streams count against the server's limit and cannot be asked for: feel the way down.
      const half = Math.floor(maxBytes / 2);
      if (wanted.maxBytes !== undefined || half < leastBytes) throw spaceFailure(wanted.name, maxBytes, error);
      maxBytes = half;
    }
  }
}

function isSpaceRefusal(error: unknown): boolean {
  const code = apiErrorCode(error);
  return code === apiCode.storageExceeded || code === apiCode.insufficientResources || code === apiCode.maxStreamBytes;
}

function spaceFailure(name: string, bytes: number, cause: unknown): GatewayError {
  return new GatewayError('STREAM_SPACE', `the server has no room for stream ${name} with ${bytes} bytes`, {
    hint: 'lower --stream-max-bytes (STREAM_MAX_BYTES), or raise max_file_store of the server or the storage limit of the account',
    cause,
  });
}

/** What the account has left where it is limited, else the default. */
async function roomFor(link: NatsLink, defaultBytes: number): Promise<number> {
  const account = await link.manager.getAccountInfo().catch(() => undefined);
  const limits = account?.limits;
  if (account === undefined || limits === undefined) return defaultBytes;
  let room = defaultBytes;
  if (limits.max_storage > 0) {
    const left = limits.max_storage - Math.max(account.reserved_storage, account.storage);
    room = defaultBytes === changeBytes ? Math.floor(left * shareTaken) : Math.min(defaultBytes, left);
  }
  if (limits.storage_max_stream_bytes > 0) room = Math.min(room, limits.storage_max_stream_bytes);
  return Math.max(room, leastBytes);
}

/** Throws STREAM_OVERLAP when another stream takes one of our subjects: the server would refuse ours, naming nobody. */
async function refuseOverlap(link: NatsLink, wanted: Wanted): Promise<void> {
  try {
    for await (const info of link.manager.streams.list()) {
      const theirs = info.config.subjects ?? [];
      const clash = theirs.find((pattern) => wanted.subjects.some((subject) => overlaps(pattern, subject)));
      if (clash === undefined || info.config.name === wanted.name) continue;
      throw new GatewayError(
        'STREAM_OVERLAP',
        `stream ${info.config.name} already has the subjects ${clash}, which ${wanted.name} needs`,
        {
          hint: `give that stream with --stream (STREAM), or change its subjects: nats stream edit ${info.config.name}`,
        },
      );
    }
  } catch (error) {
    const failure = natsFailure(error, 'listing the streams');
    // Listing may be forbidden; then the server's own refusal has to do.
    if (failure.code !== 'NATS_PERMISSION') throw failure;
  }
}
