import { formatTime, parseTime, type ArchiveMessage, type ArchivePosition } from '../archive/index.ts';
import { replayableLines, replayHeader, type ChainMessage } from '../jetstream/index.ts';

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
  #second = -1;
  #secondText = '';

  constructor(jobId: string, target: (subject: string) => string) {
    this.#prefix = `${jobId}.`;
    this.#target = target;
  }

  message(life: string, { subject, headers, payload, sequence, timestamp, nanos }: ArchiveMessage): ChainMessage {
    const time = this.#time(timestamp, nanos);
    return {
      subject: this.#target(subject),
      id: `${this.#prefix}${life}.${sequence}`,
      ownLines: `${replayHeader.sequence}: ${sequence}\r\n${replayHeader.time}: ${time}\r\n${replayHeader.subject}: ${subject}\r\n`,
      lines: headers.length === 0 ? headers : replayableLines(headers),
      payload,
    };
  }

  /** What the id of a message in the target says, if this job made it. */
  originOf(id: string | undefined): ArchivePosition | undefined {
    if (id?.startsWith(this.#prefix) !== true) return undefined;
    const [, life, sequence] = /^([0-9a-z]+)\.(\d+)$/.exec(id.slice(this.#prefix.length)) ?? [];
    return life === undefined ? undefined : { streamCreated: createdOf(life), sequence: Number(sequence) };
  }

  #time(timestamp: number, nanos: number): string {
    const second = Math.floor(timestamp / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = new Date(second * 1000).toISOString().slice(0, 20);
    }
    return `${this.#secondText}${String((timestamp - second * 1000) * 1_000_000 + nanos).padStart(9, '0')}Z`;
  }
}
