import type { Dispatcher } from 'undici';
import { ElasticError } from './errors.ts';

/**
 * The body as one Buffer: filled in place where its length was announced, so that it is copied once. Throws RESPONSE_TOO_LARGE, without
 * reading on, when it is longer than `bytesMax`.
 */
export async function readBody(response: Dispatcher.ResponseData, bytesMax: number, path: string): Promise<Buffer> {
  const announced = Number(response.headers['content-length'] ?? -1);
  if (announced > bytesMax) {
    response.body.on('error', ignore).destroy();
    throw tooLarge(announced, bytesMax, path);
  }
  if (announced >= 0) return readInto(Buffer.allocUnsafeSlow(announced), response);
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
  for await (const part of response.body as AsyncIterable<Buffer>) at += part.copy(body, at);
  // A HEAD request announces what a GET would bring.
  return at === body.length ? body : body.subarray(0, at);
}

function ignore(): void {}

function tooLarge(bytes: number, bytesMax: number, path: string): ElasticError {
  return new ElasticError('RESPONSE_TOO_LARGE', `the answer to ${path} has ${bytes} bytes or more, ${bytesMax} are allowed`, {
    hint: 'ask for fewer documents at once',
  });
}
