import { GatewayError } from '../core/errors.ts';
import type { Compression } from './key.ts';
import type { PartFacts } from './part-facts.ts';
import { summariseSubjects } from './subjects.ts';
import { formatTime, parseTime } from './time.ts';

/** Where the messages of a block come from. */
export type BlockOrigin = {
  stream: string;
  /**
   * When the stream was created, as the server tells it. A stream that is deleted and made again under its name starts its sequences
   * over: this tells the two apart.
   */
  streamCreated: string;
  job: string;
};

/** What a block says of itself in its first bytes: enough to list it, and to decide whether it is worth reading. */
export type BlockHeader = BlockOrigin & {
  compression: Compression;
  messages: number;
  /** Of header blocks and payloads, uncompressed. */
  bytes: number;
  firstSequence: number;
  lastSequence: number;
  /** The least and the greatest time of its messages, in ns since 1970. */
  firstTime: bigint;
  lastTime: bigint;
  /** Patterns that cover all of its subjects. */
  subjects: readonly string[];
  /**
   * The last sequence of the job's block before this one, 0 for its first, where the writer knows: what lies between was not for the
   * job. A block that is missing breaks the chain.
   */
  after: number | undefined;
};

const subjectsInHeader = { patternsMax: 32, bytesMax: 2_048 };

/** A header from what its parts hold. */
export function describeParts(
  head: BlockOrigin & { compression: Compression; bytes: number; after: number | undefined },
  parts: readonly PartFacts[],
): BlockHeader {
  const [first] = parts;
  if (first === undefined) throw new RangeError('a block needs a message');
  let [messages, { firstTime, lastTime }] = [0, first];
  for (const part of parts) {
    messages += part.messages;
    if (part.firstTime < firstTime) firstTime = part.firstTime;
    if (part.lastTime > lastTime) lastTime = part.lastTime;
  }
  return {
    ...head,
    streamCreated: formatTime(parseTime(head.streamCreated)),
    messages,
    firstSequence: first.firstSequence,
    lastSequence: parts.at(-1)!.lastSequence,
    firstTime,
    lastTime,
    subjects: summariseSubjects(
      parts.flatMap((part) => part.subjects),
      subjectsInHeader,
    ),
  };
}

type HeaderJson = {
  stream: string;
  stream_created: string;
  job: string;
  compression: string;
  messages: number;
  bytes: number;
  first_seq: number;
  last_seq: number;
  first_time: string;
  last_time: string;
  subjects: string[];
  after_seq?: number;
};

export function headerToJson(header: BlockHeader): HeaderJson {
  return {
    stream: header.stream,
    stream_created: header.streamCreated,
    job: header.job,
    compression: header.compression,
    messages: header.messages,
    bytes: header.bytes,
    first_seq: header.firstSequence,
    last_seq: header.lastSequence,
    first_time: formatTime(header.firstTime),
    last_time: formatTime(header.lastTime),
    subjects: [...header.subjects],
    ...(header.after === undefined ? {} : { after_seq: header.after }),
  };
}

/** The text has passed its checksum: what is wrong in it was written so. */
export function headerFromJson(text: string): BlockHeader {
  const json = JSON.parse(text) as HeaderJson;
  const { compression } = json;
  if (compression !== 'zstd' && compression !== 'gzip' && compression !== 'none')
    throw newer(`compression ${JSON.stringify(compression)}`);
  return {
    stream: json.stream,
    streamCreated: json.stream_created,
    job: json.job,
    compression,
    messages: json.messages,
    bytes: json.bytes,
    firstSequence: json.first_seq,
    lastSequence: json.last_seq,
    firstTime: parseTime(json.first_time),
    lastTime: parseTime(json.last_time),
    subjects: json.subjects,
    after: json.after_seq,
  };
}

/** The block is whole, but a later program has written it. */
export function newer(what: string): GatewayError {
  return new GatewayError('ARCHIVE_NEWER', `the block has ${what}, which this program cannot read`, {
    hint: 'use the version of the program that wrote the archive, or a newer one',
  });
}
