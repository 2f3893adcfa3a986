import { GatewayError } from '../core/errors.ts';
import { covers } from '../core/subject.ts';
import type { Clock } from './clock.ts';
import type { NatsLink } from './connect.ts';
import { streamMissing, tooLarge } from './publish-verdict.ts';
import { findStream } from './streams.ts';

const everyMs = 500;
/** A stream is missing when it was not found this often: a cluster that is still gathering may not know it yet. */
const missesToBelieve = 2;

/** Looks at a stream after a message was not taken, where trying again may be in vain: one look at a time, and not too often. */
export class Inspection {
  readonly #link: NatsLink;
  readonly #stream: string;
  readonly #clock: Clock;
  #looking = false;
  #lookedAt = 0;
  #misses = 0;

  constructor(link: NatsLink, stream: string, clock: Clock) {
    this.#link = link;
    this.#stream = stream;
    this.#clock = clock;
  }

  /** A message was stored: the stream is there. */
  allIsWell(): void {
    this.#misses = 0;
  }

  /** What is wrong for good: the stream is missing (STREAM_MISSING), or it can never take this message. Undefined: nothing known. */
  async look(message: { subject: string; bytes: number }): Promise<GatewayError | undefined> {
    if (this.#looking || this.#clock.now() - this.#lookedAt < everyMs) return undefined;
    this.#looking = true;
    this.#lookedAt = this.#clock.now();
    try {
      const wrong = await inspectStream(this.#link, this.#stream, message);
      this.#misses = wrong?.code === 'STREAM_MISSING' ? this.#misses + 1 : 0;
      return wrong?.code === 'STREAM_MISSING' && this.#misses < missesToBelieve ? undefined : wrong;
    } catch {
      // The server does not answer either: what waits is tried again anyway.
      return undefined;
    } finally {
      this.#looking = false;
    }
  }
}

async function inspectStream(
  link: NatsLink,
  stream: string,
  { subject, bytes }: { subject: string; bytes: number },
): Promise<GatewayError | undefined> {
  const info = await findStream(link, stream);
  if (info === undefined) return streamMissing(stream);
  const { max_bytes: maxBytes } = info.config;
  if (maxBytes > 0 && bytes > maxBytes)
    return tooLarge(subject, `${bytes} bytes, and all of stream ${stream} may hold ${maxBytes}`);
  const subjects = info.config.subjects ?? [];
  if (subjects.some((pattern) => covers(pattern, subject))) return undefined;
  return new GatewayError(
    'STREAM_SUBJECT',
    `stream ${stream} does not take ${subject}; its subjects are [${subjects.join(', ')}]`,
    {
      hint: `nats stream edit ${stream} --subjects=…, or another stream with --stream (STREAM)`,
    },
  );
}
