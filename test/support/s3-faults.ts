import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';

export type S3Operation =
  | 'PutObject'
  | 'GetObject'
  | 'HeadObject'
  | 'DeleteObjects'
  | 'ListObjects'
  | 'HeadBucket'
  | 'CreateBucket'
  | 'other';

/** A request as the proxy sees it. Addresses are path-style. */
export type S3Call = {
  operation: S3Operation;
  bucket: string;
  key: string;
  /** How many of this operation have come, this one included. */
  count: number;
};

export type S3Fault =
  /** The store never hears of it: the proxy answers as S3 would. */
  | { is: 'answer'; status: number; code: string }
  | { is: 'slow'; delayMs: number }
  /** The connection is reset before the store has heard anything. */
  | { is: 'reset' }
  /** The store does it, but the connection is reset before its answer. */
  | { is: 'lostReply' }
  /** Nobody ever answers; `heal` resets the connection. */
  | { is: 'silent' }
  /** One bit of the body is wrong when it arrives at the store, or here. */
  | { is: 'damagedBody' }
  | { is: 'damagedAnswer' }
  /** The answer ends in its middle. */
  | { is: 'cutAnswer' };

/** What S3 and servers like it answer when they are in trouble. */
export const s3Trouble = {
  internalError: { is: 'answer', status: 500, code: 'InternalError' },
  slowDown: { is: 'answer', status: 503, code: 'SlowDown' },
  expiredToken: { is: 'answer', status: 400, code: 'ExpiredToken' },
  keyRefused: { is: 'answer', status: 403, code: 'InvalidAccessKeyId' },
  accessDenied: { is: 'answer', status: 403, code: 'AccessDenied' },
  bucketMissing: { is: 'answer', status: 404, code: 'NoSuchBucket' },
  badDigest: { is: 'answer', status: 400, code: 'BadDigest' },
  diskFull: { is: 'answer', status: 507, code: 'XMinioStorageFull' },
} as const satisfies Record<string, S3Fault>;

/** Stands before an S3 server and does to each request what `plan` says; without a plan it passes everything on. */
export class S3FaultProxy {
  readonly #server: Server;
  readonly #target: string;
  readonly #counts = new Map<S3Operation, number>();
  readonly #silent = new Set<ServerResponse>();
  /** How often each fault came about, by `is`, or by the code of an answer. */
  readonly applied = new Map<string, number>();
  plan: (call: S3Call) => S3Fault | undefined = () => undefined;

  static async to(url: string): Promise<S3FaultProxy> {
    const proxy = new S3FaultProxy(url);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer((incoming, outgoing) => {
      // A connection that one of the two sides has ended: the other one notices by itself.
      this.#serve(incoming, outgoing).catch(() => outgoing.destroy());
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Ends all faults. */
  heal(): void {
    this.plan = () => undefined;
    for (const outgoing of this.#silent) outgoing.destroy();
    this.#silent.clear();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const fault = this.plan(this.#call(incoming));
    if (fault !== undefined) {
      const name = fault.is === 'answer' ? fault.code : fault.is;
      this.applied.set(name, (this.applied.get(name) ?? 0) + 1);
    }
    // The whole body first: a server that answers in its middle is a fault that belongs to another test.
    const body = await buffer(incoming);
    switch (fault?.is) {
      case 'answer':
        return void outgoing.writeHead(fault.status, { 'content-type': 'application/xml' }).end(errorBody(fault.code));
      case 'reset':
        return void incoming.socket.resetAndDestroy();
      case 'silent':
        return void this.#silent.add(outgoing);
      case 'slow':
        await pause(fault.delayMs);
        return this.#pass(incoming, body, outgoing);
      case 'lostReply':
        await this.#ask(incoming, body);
        return void incoming.socket.resetAndDestroy();
      case 'damagedBody':
        return this.#pass(incoming, flipped(body), outgoing);
      case 'damagedAnswer': {
        const { status, headers, answer } = await this.#ask(incoming, body);
        return void outgoing.writeHead(status, headers).end(flipped(answer));
      }
      case 'cutAnswer': {
        const { status, headers, answer } = await this.#ask(incoming, body);
        outgoing.writeHead(status, headers);
        return void outgoing.write(answer.subarray(0, answer.length / 2), () => incoming.socket.resetAndDestroy());
      }
      case undefined:
        return this.#pass(incoming, body, outgoing);
    }
  }

  async #pass(incoming: IncomingMessage, body: Buffer, outgoing: ServerResponse): Promise<void> {
    const { status, headers, answer } = await this.#ask(incoming, body);
    outgoing.writeHead(status, headers).end(answer);
  }

  /** Headers go on as they are, `Host` too: the signature covers them. */
  async #ask(incoming: IncomingMessage, body: Buffer) {
    const { method, headers, url } = incoming;
    const passed = request(new URL(url ?? '/', this.#target), { method, headers });
    const answered = new Promise<IncomingMessage>((resolve, reject) => passed.on('response', resolve).on('error', reject));
    passed.end(body);
    const response = await answered;
    const answer = await buffer(response);
    return { status: response.statusCode ?? 502, headers: response.headers, answer };
  }

  #call({ method = '', url = '/' }: IncomingMessage): S3Call {
    const { pathname, searchParams } = new URL(url, this.#target);
    const [bucket = '', ...rest] = pathname.slice(1).split('/').map(decodeURIComponent);
    const key = rest.join('/');
    const operation = operationOf(method, key, searchParams);
    const count = (this.#counts.get(operation) ?? 0) + 1;
    this.#counts.set(operation, count);
    return { operation, bucket, key, count };
  }
}

function operationOf(method: string, key: string, query: URLSearchParams): S3Operation {
  switch (method) {
    case 'PUT':
      return key === '' ? 'CreateBucket' : 'PutObject';
    case 'GET':
      return key === '' ? 'ListObjects' : 'GetObject';
    case 'HEAD':
      return key === '' ? 'HeadBucket' : 'HeadObject';
    case 'POST':
      return query.has('delete') ? 'DeleteObjects' : 'other';
    default:
      return 'other';
  }
}

function errorBody(code: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>told to fail</Message></Error>`;
}

function flipped(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  const at = Math.floor(copy.length / 2);
  if (at < copy.length) copy[at]! ^= 1;
  return copy;
}
