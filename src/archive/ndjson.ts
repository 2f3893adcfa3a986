import { isUtf8 } from 'node:buffer';
import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import type { BlockOrigin } from './block-header.ts';
import { BlockDamage } from './damage.ts';
import { headersByName, headersFromNames } from './header-block.ts';
import type { Compression } from './key.ts';
import { timeOf, type ArchiveMessage, type PlacedMessage } from './message.ts';
import { PartBuilder } from './part-builder.ts';
import { subjectsOfPart, TimeSpan, type PartFacts } from './part-facts.ts';
import { summariseSubjects } from './subjects.ts';
import { formatTime, parseTime, splitTime } from './time.ts';

/** A message as one line of JSON, for other tools; nothing of it is lost (docs/archive-format.md). */
type MessageJson = {
  stream: string;
  stream_created: string;
  sequence: number;
  time: string;
  subject: string;
  headers?: Record<string, string[]>;
  /** Instead of `headers`, where those could not be written back byte for byte. */
  headers_base64?: string;
  payload?: string;
  /** Instead of `payload`, where that is no text. */
  payload_base64?: string;
};

/** Gathers messages as lines of text; the counterpart of PartBuilder. */
export class NdjsonBuilder {
  readonly #bytesMax: number;
  readonly #origin: BlockOrigin;
  #lines: string[] = [];
  #bytes = 0;
  #firstSequence = 0;
  #lastSequence = 0;
  readonly #span = new TimeSpan();
  #subjects = new Set<string>();

  constructor(bytesMax: number, origin: BlockOrigin) {
    this.#bytesMax = bytesMax;
    this.#origin = { ...origin, streamCreated: formatTime(parseTime(origin.streamCreated)) };
  }

  get messages(): number {
    return this.#lines.length;
  }

  add(message: ArchiveMessage): boolean {
    const line = encodeLine(message, this.#origin);
    const bytes = Buffer.byteLength(line);
    const isFirst = this.#lines.length === 0;
    if (!isFirst && this.#bytes + bytes > this.#bytesMax) return false;
    if (isFirst) this.#firstSequence = message.sequence;
    this.#lastSequence = message.sequence;
    this.#span.include(message.timestamp, message.nanos, isFirst);
    this.#subjects.add(message.subject);
    this.#lines.push(line);
    this.#bytes += bytes;
    return true;
  }

  place({ bytes, headersAt, payloadAt, end, ...message }: PlacedMessage): boolean {
    return this.add({ ...message, headers: bytes.subarray(headersAt, payloadAt), payload: bytes.subarray(payloadAt, end) });
  }

  finish(take: (bytes: number) => Buffer): { raw: Buffer; facts: PartFacts } {
    const raw = take(this.#bytes);
    let at = 0;
    for (const line of this.#lines) at += raw.write(line, at);
    const { firstTime, lastTime } = this.#span;
    const facts = {
      messages: this.#lines.length,
      firstSequence: this.#firstSequence,
      lastSequence: this.#lastSequence,
      firstTime,
      lastTime,
      subjects: summariseSubjects(this.#subjects, subjectsOfPart),
    };
    this.#lines = [];
    this.#bytes = 0;
    this.#subjects = new Set();
    return { raw, facts };
  }
}

function encodeLine(message: ArchiveMessage, { stream, streamCreated }: BlockOrigin): string {
  return `${JSON.stringify(messageToJson(message, stream, streamCreated))}\n`;
}

/** What a line of the `ndjson` format holds. */
export function messageToJson(message: ArchiveMessage, stream: string, streamCreated: string): MessageJson {
  const { subject, sequence } = message;
  return {
    stream,
    stream_created: streamCreated,
    sequence,
    time: formatTime(timeOf(message)),
    subject,
    ...headersToJson(message.headers),
    ...(isUtf8(message.payload)
      ? { payload: bufferOf(message.payload).toString() }
      : { payload_base64: base64(message.payload) }),
  };
}

function headersToJson(block: Uint8Array): Pick<MessageJson, 'headers' | 'headers_base64'> {
  if (block.length === 0) return {};
  const headers = headersByName(block);
  return headers === undefined ? { headers_base64: base64(block) } : { headers };
}

function messageFromJson(json: MessageJson): ArchiveMessage {
  const { subject, sequence } = json;
  if (typeof subject !== 'string' || !Number.isSafeInteger(sequence)) throw new BlockDamage('a line is no message');
  return {
    subject,
    sequence,
    ...splitTime(parseTime(json.time)),
    headers:
      json.headers_base64 === undefined ? headersFromNames(json.headers ?? {}) : Buffer.from(json.headers_base64, 'base64'),
    payload: json.payload_base64 === undefined ? Buffer.from(json.payload ?? '') : Buffer.from(json.payload_base64, 'base64'),
  };
}

/** Parts of about `partBytes` made from a whole file, and where they come from. Throws BlockDamage and what zlib throws. */
export async function* readNdjson(
  body: Buffer,
  compression: Compression,
  partBytes: number,
): AsyncGenerator<{ raw: Buffer; facts: PartFacts; streamCreated: string }> {
  const builder = new PartBuilder(partBytes);
  let streamCreated = '';
  let last = 0;
  let number = 0;
  const finish = () => ({ ...builder.finish((bytes) => Buffer.allocUnsafeSlow(bytes)), streamCreated });
  for await (const line of lines(body, compression)) {
    number++;
    const json = parseLine(line, number);
    streamCreated = json.stream_created;
    const message = messageFromJson(json);
    if (message.sequence <= last) throw new BlockDamage(`line ${number} is out of order`);
    last = message.sequence;
    if (builder.add(message)) continue;
    yield finish();
    builder.add(message);
  }
  if (builder.messages > 0) yield finish();
}

function parseLine(line: Buffer, number: number): MessageJson {
  try {
    return JSON.parse(line.toString()) as MessageJson;
  } catch (error) {
    throw new BlockDamage(`line ${number} is no JSON: ${String(error)}`);
  }
}

/** Lines without their ends. */
async function* lines(body: Buffer, compression: Compression): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  for await (const chunk of opened(body, compression)) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, end)]);
      rest = [];
      from = end + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  if (rest.length > 0) throw new BlockDamage('the last line has no end');
}

function opened(body: Buffer, compression: Compression): AsyncIterable<Buffer> {
  if (compression === 'none') return Readable.from([body]);
  const opener = compression === 'zstd' ? createZstdDecompress() : createGunzip();
  opener.end(body);
  return opener;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function base64(bytes: Uint8Array): string {
  return bufferOf(bytes).toString('base64');
}
