import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { compress, defaultLevel } from './compression.ts';
import { blockKey, type BlockFormat, type Compression } from './key.ts';
import { encodeFooter, encodePreamble, encodeTrailer, type BlockHeader, type PartEntry } from './layout.ts';
import type { ArchiveMessage } from './message.ts';
import { PartBuilder, type PartFacts } from './part.ts';

export type BlockOptions = {
  stream: string;
  /** As the server tells it: RFC 3339. */
  streamCreated: string;
  job: string;
  format?: BlockFormat;
  compression?: Compression;
  level?: number;
  partBytes?: number;
};

export type SealedBlock = BlockHeader & {
  format: BlockFormat;
  body: Buffer;
  messages: number;
  /** Of subjects, headers and payloads, uncompressed. */
  bytes: number;
  firstSequence: number;
  lastSequence: number;
  /** Of the first message, in ms since 1970. */
  firstTimestamp: number;
};

const partBytesDefault = 1024 * 1024;
/** Parts that wait for compression or are at it: the bound of what a writer holds uncompressed. */
const partsUnderWayMax = 4;

/** Fills one block. Not to be used again after `seal`. */
export class BlockWriter {
  readonly #options: BlockOptions & { compression: Compression; level: number };
  readonly #builder: PartBuilder;
  readonly #pieces: Promise<{ facts: PartFacts; bytes: Buffer; rawBytes: number }>[] = [];
  #underWay = 0;
  #room: PromiseWithResolvers<void> | undefined;
  #messages = 0;
  #bytes = 0;
  #firstSequence = 0;
  #lastSequence = 0;
  #firstTimestamp = 0;

  constructor(options: BlockOptions) {
    const compression = options.compression ?? 'zstd';
    this.#options = { ...options, compression, level: options.level ?? defaultLevel[compression] };
    this.#builder = new PartBuilder(options.partBytes ?? partBytesDefault);
  }

  get messages(): number {
    return this.#messages;
  }

  /** Of subjects, headers and payloads, uncompressed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** 0 while it is empty. */
  get firstSequence(): number {
    return this.#firstSequence;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Copies the message. Sequences must rise. A promise is to be awaited before the next message: compression has fallen behind. */
  add(message: ArchiveMessage): Promise<void> | undefined {
    if (message.sequence <= this.#lastSequence)
      throw new RangeError(`message ${message.sequence} after message ${this.#lastSequence}: sequences must rise`);
    if (!this.#builder.add(message)) {
      this.#finishPart();
      this.#builder.add(message);
    }
    if (this.#messages++ === 0) {
      this.#firstSequence = message.sequence;
      this.#firstTimestamp = message.timestamp;
    }
    this.#lastSequence = message.sequence;
    this.#bytes += message.subject.length + message.headers.length + message.payload.length;
    return this.#room?.promise;
  }

  /** The block, complete. It must hold a message at least. */
  async seal(): Promise<SealedBlock> {
    if (this.#messages === 0) throw new RangeError('a block needs a message');
    if (this.#builder.messages > 0) this.#finishPart();
    const { stream, streamCreated, job, compression, format = 'n3b' } = this.#options;
    const header = { stream, streamCreated, job, compression };
    const preamble = encodePreamble(header);
    const parts: PartEntry[] = [];
    const bodies = [preamble];
    let offset = preamble.length;
    for (const { facts, bytes, rawBytes } of await Promise.all(this.#pieces)) {
      parts.push({ ...facts, offset, bytes: bytes.length, rawBytes, crc: crc32(bytes) });
      bodies.push(bytes);
      offset += bytes.length;
    }
    const footer = encodeFooter({ header, parts });
    const digest = createHash('sha256');
    const trailer = encodeTrailer(footer, Buffer.alloc(32));
    for (const bytes of [...bodies, footer, trailer.subarray(0, 8)]) digest.update(bytes);
    digest.digest().copy(trailer, 8);
    return {
      ...header,
      format,
      body: Buffer.concat([...bodies, footer, trailer]),
      messages: this.#messages,
      bytes: this.#bytes,
      firstSequence: this.#firstSequence,
      lastSequence: this.#lastSequence,
      firstTimestamp: this.#firstTimestamp,
    };
  }

  #finishPart(): void {
    const { compression, level } = this.#options;
    const { raw, facts } = this.#builder.finish((bytes) => Buffer.allocUnsafeSlow(bytes));
    this.#underWay++;
    if (this.#underWay >= partsUnderWayMax) this.#room ??= Promise.withResolvers();
    const piece = compress(raw, compression, level).then((bytes) => {
      this.#underWay--;
      this.#room?.resolve();
      this.#room = undefined;
      return { facts, bytes, rawBytes: raw.length };
    });
    // Whoever seals is told; until then nobody listens.
    piece.catch(() => undefined);
    this.#pieces.push(piece);
  }
}

export function keyOf(block: SealedBlock, prefix: string, variant?: string): string {
  return blockKey({ ...block, prefix, variant });
}
