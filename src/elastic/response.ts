import type { Dispatcher } from 'undici';
import type { BufferPool } from '../core/buffer-pool.ts';
import { SpentMemory } from '../core/free-memory.ts';
import { ElasticError } from './errors.ts';

/** What a body of unknown length is read into at first. */
const pooledBytesFirst = 512 * 1024;

/**
 * The body as one Buffer: filled in place where its length was announced, so that it is copied once, and in memory from `pool` where
 * there is one. Throws RESPONSE_TOO_LARGE, without reading on, when it is longer than `bytesMax`.
 */
export async function readBody(
  response: Dispatcher.ResponseData,
  bytesMax: number,
  path: string,
  pool?: BufferPool,
): Promise<Buffer> {
  const announced = Number(response.headers['content-length'] ?? -1);
  if (announced > bytesMax) {
    response.body.on('error', ignore).destroy();
    throw tooLarge(announced, bytesMax, path);
  }
  if (announced >= 0) return readInto(pool?.take(announced) ?? Buffer.allocUnsafeSlow(announced), response);
  if (pool !== undefined) return readPooled(pool, response, bytesMax, path);
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response.body as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > bytesMax) throw tooLarge(bytes, bytesMax, path);
    parts.push(part);
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts, bytes);
}

async function readInto(body: Buffer, response: Dispatcher.ResponseData): Promise<Buffer> {
  let at = 0;
  const spent = new SpentMemory();
  for await (const part of response.body as AsyncIterable<Buffer>) {
    at += part.copy(body, at);
    spent.by(part);
  }
  // A HEAD request announces what a GET would bring.
  return at === body.length ? body : body.subarray(0, at);
}

/** Servers send large answers without saying how long they will be. */
async function readPooled(pool: BufferPool, response: Dispatcher.ResponseData, bytesMax: number, path: string): Promise<Buffer> {
  let body = pool.take(pooledBytesFirst);
  // All of it, not only what was asked for: what is there need not grow.
  body = Buffer.from(body.buffer);
  let at = 0;
  const spent = new SpentMemory();
  for await (const part of response.body as AsyncIterable<Buffer>) {
    const needed = at + part.length;
    if (needed > bytesMax) throw tooLarge(needed, bytesMax, path);
    if (needed > body.length) {
      const larger = Buffer.from(pool.take(Math.max(needed, body.length * 2)).buffer);
      body.copy(larger, 0, 0, at);
      pool.give(body);
      body = larger;
    }
    at += part.copy(body, at);
    spent.by(part);
  }
  return body.subarray(0, at);
}

function ignore(): void {}

function tooLarge(bytes: number, bytesMax: number, path: string): ElasticError {
  return new ElasticError('RESPONSE_TOO_LARGE', `the answer to ${path} has ${bytes} bytes or more, ${bytesMax} are allowed`, {
    hint: 'ask for fewer documents at once',
  });
}
