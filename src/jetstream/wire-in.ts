import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import { digits } from './digits.ts';

/** One message as it lies among the bytes that came. It holds only until the call returns. */
export type Frame = {
  bytes: Buffer;
  subjectAt: number;
  subjectEnd: number;
  /** Where there is none, the two are the same. */
  replyAt: number;
  replyEnd: number;
  /** The header block, `NATS/1.0\r\n` to the blank line, is what lies before the payload; empty for a message without headers. */
  headersAt: number;
  payloadAt: number;
  end: number;
};

/** False leaves the message to the library. */
export type TakeFrame = (frame: Frame) => boolean;

/** The library's own parser, which it does not declare. `state` is 0 between two operations. */
type Parser = { state?: number; parse(bytes: Uint8Array): void };
type Protocol = { parser?: Parser };

const readers = new WeakMap<NatsConnection, FrameReader>();

/**
 * Has the messages of a subscription told as they lie in what the socket has read: the library makes half a dozen objects of each, which
 * costs more than all that is done with it. What is no such message goes to the library. Ends with the answer.
 */
export function takeFrames(connection: NatsConnection, subscription: Subscription, take: TakeFrame): () => void {
  const reader = readers.get(connection) ?? install(connection);
  const id = subscription.getID();
  reader.takers.set(id, take);
  return () => void reader.takers.delete(id);
}

/** The library makes a parser for each connection of its own, and asks for it anew with every piece of input. */
function install(connection: NatsConnection): FrameReader {
  const { protocol } = connection as unknown as { protocol?: Protocol };
  if (typeof protocol?.parser?.state !== 'number') throw new TypeError('the NATS library reads in another way');
  const reader = new FrameReader(protocol.parser);
  Object.defineProperty(protocol, 'parser', {
    get: () => reader,
    set(parser: Parser) {
      reader.renew(parser);
    },
  });
  readers.set(connection, reader);
  return reader;
}

const [space, lineFeed, letterM, letterH] = [0x20, 0x0a, 0x4d, 0x48];
const lineEndBytes = 2;
const tokensMax = 5;

/** Cuts what comes over the wire into operations, and passes each to whoever is meant, complete. */
export class FrameReader {
  readonly takers = new Map<number, TakeFrame>();
  #library: Parser;
  /** An operation that has come in part. */
  #begun: Buffer | undefined;
  #begunBytes = 0;
  /** What it will take; 0 while that is not known. */
  #needed = 0;
  readonly #starts = new Int32Array(tokensMax + 1);
  readonly #ends = new Int32Array(tokensMax + 1);
  readonly #frame: Frame = {
    bytes: Buffer.alloc(0),
    subjectAt: 0,
    subjectEnd: 0,
    replyAt: 0,
    replyEnd: 0,
    headersAt: 0,
    payloadAt: 0,
    end: 0,
  };
  #id = 0;

  constructor(library: Parser) {
    this.#library = library;
  }

  /** Another connection begins. */
  renew(library: Parser): void {
    this.#library = library;
    this.#begun = undefined;
  }

  parse(input: Uint8Array): void {
    const chunk = Buffer.from(input.buffer, input.byteOffset, input.length);
    let at = this.#begun === undefined ? 0 : this.#goOn(chunk, this.#begun);
    // When this reader took over, the library may have been in the middle of something.
    while (this.#library.state !== 0 && at < chunk.length) this.#library.parse(chunk.subarray(at, ++at));
    while (at < chunk.length) {
      const end = this.#endOf(chunk, at);
      if (end === 0 || end > chunk.length) {
        this.#begin(chunk.subarray(at), end === 0 ? 0 : end - at);
        break;
      }
      this.#pass(chunk, at, end);
      at = end;
    }
    if (this.#library.state === 0) giveBack(input);
  }

  #begin(part: Buffer, needed: number): void {
    this.#begun = Buffer.allocUnsafe(Math.max(needed, part.length));
    this.#begun.set(part);
    this.#begunBytes = part.length;
    this.#needed = needed;
  }

  /** Completes what has begun, as far as it goes; where the next operation is. */
  #goOn(chunk: Buffer, begun: Buffer): number {
    let at = 0;
    if (this.#needed === 0) {
      const line = Buffer.concat([begun, chunk.subarray(0, chunk.indexOf(lineFeed) + 1 || chunk.length)]);
      at = line.length - begun.length;
      this.#begin(line, this.#endOf(line, 0));
      if (this.#needed === 0) return at;
    }
    const whole = this.#begun!;
    const more = Math.min(this.#needed - this.#begunBytes, chunk.length - at);
    chunk.copy(whole, this.#begunBytes, at, at + more);
    this.#begunBytes += more;
    if (this.#begunBytes === this.#needed) {
      this.#begun = undefined;
      this.#pass(whole, 0, this.#endOf(whole, 0));
    }
    return at + more;
  }

  #pass(bytes: Buffer, at: number, end: number): void {
    const taker = this.#id === 0 ? undefined : this.takers.get(this.#id);
    // The library keeps views of what it is given.
    if (taker?.(this.#frame) !== true) this.#library.parse(Uint8Array.prototype.slice.call(bytes, at, end));
  }

  /** Where the operation at `at` ends, as far as its line tells; 0 where that has not come. A message's places are noted. */
  #endOf(bytes: Buffer, at: number): number {
    this.#id = 0;
    const lineEnd = bytes.indexOf(lineFeed, at);
    if (lineEnd < 0) return 0;
    const first = bytes[at];
    if (first !== letterM && first !== letterH) return lineEnd + 1;
    const hasHeaders = first === letterH;
    const [starts, ends] = [this.#starts, this.#ends];
    let count = 0;
    starts[0] = at + (hasHeaders ? 'HMSG '.length : 'MSG '.length);
    for (let place = starts[0]; place < lineEnd && count < tokensMax; place++) {
      if (bytes[place] !== space) continue;
      ends[count++] = place;
      starts[count] = place + 1;
    }
    ends[count++] = lineEnd - 1;
    const numbers = hasHeaders ? 2 : 1;
    const hasReply = count === numbers + 3;
    const size = digits(bytes, starts[count - 1]!, ends[count - 1]!);
    const headerBytes = hasHeaders ? digits(bytes, starts[count - 2]!, ends[count - 2]!) : 0;
    // Whatever it is, the library says so.
    if (Number.isNaN(size + headerBytes)) return lineEnd + 1;
    const frame = this.#frame;
    frame.bytes = bytes;
    frame.subjectAt = starts[0];
    frame.subjectEnd = ends[0]!;
    frame.replyAt = hasReply ? starts[2]! : 0;
    frame.replyEnd = hasReply ? ends[2]! : 0;
    frame.headersAt = lineEnd + 1;
    frame.payloadAt = lineEnd + 1 + headerBytes;
    frame.end = lineEnd + 1 + size;
    this.#id = digits(bytes, starts[1]!, ends[1]!);
    return frame.end + lineEndBytes;
  }
}

/**
 * The memory of what the socket has read, each time another piece. Left to the collector it piles up by tens of megabytes, and for its sake
 * the whole heap is gone through again and again.
 */
function giveBack({ buffer, length }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0);
}
