import { formatTime, parseTime, type ArchivePosition, type OpenedPart } from '../archive/index.ts';
import { digitsOf, writeDigits } from '../core/json-write.ts';
import { leastHeaderBytes, replayableLines, replayHeader, type ChainMessage } from '../jetstream/index.ts';

const sequenceName = Buffer.from(`${replayHeader.sequence}: `);
const timeName = Buffer.from(`\r\n${replayHeader.time}: `);
const subjectName = Buffer.from(`Z\r\n${replayHeader.subject}: `);
const lineEnd = Buffer.from('\r\n');
const none = Buffer.alloc(0);

/** A life of a stream as part of an id. Lives of one stream are told apart by the time at which they were created. */
export function lifeOf(streamCreated: string): string {
  return parseTime(streamCreated).toString(36);
}

/** The inverse of `lifeOf`. */
function createdOf(life: string): string {
  let nanos = 0n;
  for (const digit of life) nanos = nanos * 36n + BigInt(Number.parseInt(digit, 36));
  return formatTime(nanos);
}

/** Makes messages of the archive into messages to publish, with ids of their own: the same message has the same id whenever it is loaded by a job. */
export class Replay {
  readonly #prefix: string;
  readonly #target: (subject: string) => string;
  readonly #message: ChainMessage = {
    subject: '',
    idPrefix: '',
    idNumber: 0,
    ownLines: none,
    lines: none,
    bytes: none,
    payloadAt: 0,
    payloadEnd: 0,
  };
  readonly #lines = new OwnLines();
  #life = '';
  #idPrefix = '';

  constructor(jobId: string, target: (subject: string) => string) {
    this.#prefix = `${jobId}.`;
    this.#target = target;
  }

  /** A message of a part. It holds until the next one is made. */
  message(life: string, part: OpenedPart, row: number): ChainMessage {
    if (life !== this.#life) {
      this.#life = life;
      this.#idPrefix = `${this.#prefix}${life}.`;
    }
    const message = this.#message;
    message.subject = this.#target(part.subject(row));
    message.idPrefix = this.#idPrefix;
    message.idNumber = part.sequence(row);
    message.ownLines = this.#lines.of(part, row);
    message.lines = part.headerBytes(row) <= leastHeaderBytes ? none : replayableLines(part.headers(row));
    message.bytes = part.bytes;
    message.payloadAt = part.payloadAt(row);
    message.payloadEnd = part.payloadEnd(row);
    return message;
  }

  /** What the id of a message in the target says, if this job made it. */
  originOf(id: string | undefined): ArchivePosition | undefined {
    if (id?.startsWith(this.#prefix) !== true) return undefined;
    const [, life, sequence] = /^([0-9a-z]+)\.(\d+)$/.exec(id.slice(this.#prefix.length)) ?? [];
    return life === undefined ? undefined : { streamCreated: createdOf(life), sequence: Number(sequence) };
  }
}

/** The header lines that say what a message was, as bytes that are overwritten by the next ones. */
class OwnLines {
  #buffer = Buffer.alloc(512);
  #subject = '';
  #subjectBytes = none;
  #second = -1;
  readonly #secondText = Buffer.alloc('2026-01-31T12:00:00.'.length);
  /** By length, so that none is made a message. */
  readonly #views = new Map<number, Buffer>();

  of(part: OpenedPart, row: number): Buffer {
    const subject = part.subject(row);
    if (subject !== this.#subject) {
      this.#subject = subject;
      this.#subjectBytes = Buffer.from(subject);
    }
    const room = 256 + this.#subjectBytes.length;
    if (room > this.#buffer.length) this.#grow(room);
    const sequence = part.sequence(row);
    let at = this.#write(sequenceName, 0);
    at = writeDigits(this.#buffer, at, sequence, digitsOf(sequence));
    at = this.#write(timeName, at);
    at = this.#writeTime(part.timestamp(row), part.nanos(row), at);
    at = this.#write(subjectName, at);
    at = this.#write(this.#subjectBytes, at);
    return this.#view(this.#write(lineEnd, at));
  }

  #write(bytes: Buffer, at: number): number {
    this.#buffer.set(bytes, at);
    return at + bytes.length;
  }

  #writeTime(timestamp: number, nanos: number, at: number): number {
    const second = Math.floor(timestamp / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText.write(new Date(second * 1000).toISOString());
    }
    return writeDigits(this.#buffer, this.#write(this.#secondText, at), (timestamp - second * 1000) * 1_000_000 + nanos, 9);
  }

  #view(length: number): Buffer {
    let view = this.#views.get(length);
    if (view === undefined) this.#views.set(length, (view = this.#buffer.subarray(0, length)));
    return view;
  }

  #grow(bytes: number): void {
    this.#buffer = Buffer.alloc(2 * bytes);
    this.#views.clear();
  }
}
