import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { BufferPool } from '../core/buffer-pool.ts';
import { describeParts, type BlockHeader, type BlockOrigin } from './block-header.ts';
import { compress, defaultLevel } from './compression.ts';
import type { BlockFormat, Compression } from './key.ts';
import { encodeEnd, encodePreamble, type PartEntry } from './layout.ts';
import type { ArchiveMessage, PlacedMessage } from './message.ts';
import { NdjsonBuilder } from './ndjson.ts';
import { PartBuilder } from './part-builder.ts';
import type { PartFacts } from './part-facts.ts';

export type BlockOptions = BlockOrigin & {
  /** Default: n3b. */
  format?: BlockFormat;
  /** Default: zstd. */
  compression?: Compression;
  /** Of the compression: zstd 1 to 19, gzip 1 to 9. */
  level?: number;
  /** The last sequence of the job's block before this one, 0 for the first: see `BlockHeader.after`. */
  after?: number | undefined;
  /** Uncompressed size of a part: what is read at least to find one message. */
  partBytes?: number;
};

/** A block as it is to be stored, and what it holds. */
export type SealedBlock = BlockHeader & {
  format: BlockFormat;
  body: Buffer;
  /** Of the body: 64 hexadecimal digits. */
  digest: string;
  /** Of the first message, in ms since 1970; part of the key. */
  firstTimestamp: number;
};

export const partBytesDefault = 1024 * 1024;
/** Parts that wait for compression or are at it: the bound of what a writer holds uncompressed. */
const partsUnderWayMax = 4;
/** For all writers: two that are busy find what they need. */
const buffers = new BufferPool(2 * partsUnderWayMax, partBytesDefault);

/** A builder has two megabytes of its own: writers of small blocks take turns with a few. */
const idleBuilders: PartBuilder[] = [];
const idleBuildersMax = 4;

type Piece = { facts: PartFacts; bytes: Buffer; rawBytes: number };

/**
 * Fills one block: a message's bytes are copied where they belong, and nothing else of it is kept. Parts are compressed on other threads while
 * the next one fills. Not to be used again after `seal`.
 */
export class BlockWriter {
  readonly #options: BlockOptions & { format: BlockFormat; compression: Compression; level: number };
  /** Undefined once the block is sealed. */
  #builder: PartBuilder | NdjsonBuilder | undefined;
  readonly #pieces: Promise<Piece>[] = [];
  #underWay = 0;
  #room: PromiseWithResolvers<void> | undefined;
  #messages = 0;
  #bytes = 0;
  #firstSequence = 0;
  #lastSequence = 0;
  #firstTimestamp = 0;

  constructor(options: BlockOptions) {
    const { format = 'n3b', compression = 'zstd', partBytes = partBytesDefault } = options;
    this.#options = { ...options, format, compression, level: options.level ?? defaultLevel[compression] };
    if (format === 'ndjson') this.#builder = new NdjsonBuilder(partBytes, options);
    else this.#builder = (partBytes === partBytesDefault ? idleBuilders.pop() : undefined) ?? new PartBuilder(partBytes);
  }

  get messages(): number {
    return this.#messages;
  }

  /** Of header blocks and payloads, uncompressed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** 0 while the block is empty. */
  get firstSequence(): number {
    return this.#firstSequence;
  }

  /** 0 while the block is empty. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Copies the message. Sequences must rise. A promise is to be awaited before the next message: compression has fallen behind. */
  add(message: ArchiveMessage): Promise<void> | undefined {
    const builder = this.#builderFor(message.sequence);
    if (!builder.add(message)) {
      this.#finishPart(builder);
      builder.add(message);
    }
    return this.#added(message, message.headers.length + message.payload.length);
  }

  /** As `add`. */
  place(message: PlacedMessage): Promise<void> | undefined {
    const builder = this.#builderFor(message.sequence);
    if (!builder.place(message)) {
      this.#finishPart(builder);
      builder.place(message);
    }
    return this.#added(message, message.end - message.headersAt);
  }

  #builderFor(sequence: number): PartBuilder | NdjsonBuilder {
    if (sequence <= this.#lastSequence)
      throw new RangeError(`message ${sequence} after message ${this.#lastSequence}: sequences must rise`);
    return this.#openBuilder();
  }

  #added({ sequence, timestamp }: ArchiveMessage | PlacedMessage, bytes: number): Promise<void> | undefined {
    if (this.#messages++ === 0) {
      this.#firstSequence = sequence;
      this.#firstTimestamp = timestamp;
    }
    this.#lastSequence = sequence;
    this.#bytes += bytes;
    return this.#room?.promise;
  }

  /** The block, complete. It must hold a message at least. */
  async seal(): Promise<SealedBlock> {
    const builder = this.#openBuilder();
    this.#builder = undefined;
    if (builder.messages > 0) this.#finishPart(builder);
    const isUsual = builder instanceof PartBuilder && builder.bytesMax === partBytesDefault;
    if (isUsual && idleBuilders.length < idleBuildersMax) idleBuilders.push(builder);
    const pieces = await Promise.all(this.#pieces);
    const { stream, streamCreated, job, compression, after, format } = this.#options;
    const origin = { stream, streamCreated, job, compression, after, bytes: this.#bytes };
    const header = describeParts(
      origin,
      pieces.map(({ facts }) => facts),
    );
    const { body, digest } = format === 'n3b' ? assemble(header, pieces) : concatenate(pieces);
    return { ...header, format, body, digest, firstTimestamp: this.#firstTimestamp };
  }

  #openBuilder(): PartBuilder | NdjsonBuilder {
    if (this.#builder === undefined) throw new RangeError('the block is sealed');
    return this.#builder;
  }

  #finishPart(builder: PartBuilder | NdjsonBuilder): void {
    const { compression, level, format } = this.#options;
    const { raw, facts } = builder.finish((bytes) => buffers.take(bytes));
    this.#underWay++;
    if (this.#underWay >= partsUnderWayMax) this.#room ??= Promise.withResolvers();
    // An n3b block has checksums of its own.
    const piece = compress(raw, compression, level, format === 'ndjson').then((bytes) => {
      this.#underWay--;
      this.#room?.resolve();
      this.#room = undefined;
      const rawBytes = raw.length;
      buffers.give(raw);
      return { facts, bytes, rawBytes };
    });
    // Whoever seals is told; until then nobody listens.
    piece.catch(() => undefined);
    this.#pieces.push(piece);
  }
}

function assemble(header: BlockHeader, pieces: readonly Piece[]): { body: Buffer; digest: string } {
  const preamble = encodePreamble(header);
  const bodies = [preamble];
  let offset = preamble.length;
  const entries = pieces.map(({ facts, bytes, rawBytes }): PartEntry => {
    const entry = { ...facts, offset, bytes: bytes.length, rawBytes, crc: crc32(bytes) };
    bodies.push(bytes);
    offset += bytes.length;
    return entry;
  });
  const { end, digest } = encodeEnd(entries, bodies);
  return { body: Buffer.concat([...bodies, end]), digest: digest.toString('hex') };
}

/** Frames of zstd and members of gzip that follow one another are a file of each. */
function concatenate(pieces: readonly Piece[]): { body: Buffer; digest: string } {
  const body = Buffer.concat(pieces.map(({ bytes }) => bytes));
  return { body, digest: createHash('sha256').update(body).digest('hex') };
}
