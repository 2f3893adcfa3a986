import { SignatureV4 } from '@smithy/signature-v4';
import { createHash, createHmac } from 'node:crypto';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Credentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
export type AwsFrontOptions = { service: string; region: string; credentials: Credentials };

/** What AWS's signer wants of a hash: plain SHA-256 without a key, else an HMAC. */
class Sha256 {
  readonly #hash;
  constructor(key?: string | Uint8Array | ArrayBuffer | ArrayBufferView) {
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', key as Uint8Array);
  }
  update(content: string | Uint8Array | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(content as Uint8Array);
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
  reset(): void {}
}

/**
 * Stands before a cluster as Amazon OpenSearch Service does: lets in what is signed for its service and region, seen as it came over the
 * wire and signed anew by AWS's own library, and refuses the rest with 403.
 */
export class AwsFront {
  readonly #options: AwsFrontOptions;
  readonly #server: Server;
  readonly #signer: SignatureV4;
  /** Reasons of the refusals. */
  readonly refusals: string[] = [];
  admitted = 0;

  static async before(url: string, options: AwsFrontOptions): Promise<AwsFront> {
    const front = new AwsFront(url, options);
    await new Promise<void>((settle) => front.#server.listen(0, '127.0.0.1', settle));
    return front;
  }

  private constructor(url: string, options: AwsFrontOptions) {
    this.#options = options;
    this.#signer = new SignatureV4({ ...options, sha256: Sha256 });
    this.#server = createServer((incoming, outgoing) => void this.#handle(incoming, outgoing, new URL(url)));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #handle(incoming: IncomingMessage, outgoing: ServerResponse, target: URL): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of incoming as AsyncIterable<Buffer>) parts.push(part);
    const body = Buffer.concat(parts);
    const refusal = await this.#refusal(incoming, body);
    if (refusal !== undefined) {
      this.refusals.push(`${incoming.method} ${incoming.url}: ${refusal}`);
      outgoing.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify({ message: refusal }));
      return;
    }
    this.admitted++;
    const { method, url: path, headers } = incoming;
    const onward = request({ host: target.hostname, port: target.port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    onward.end(body);
  }

  /** In AWS's words; undefined where everything is in order. */
  async #refusal({ method = '', url = '', headers }: IncomingMessage, body: Buffer): Promise<string | undefined> {
    const authorization = headers.authorization ?? '';
    const signedNames = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';');
    if (signedNames === undefined) return 'Missing Authentication Token';
    for (const name of ['host', 'x-amz-date', 'x-amz-content-sha256']) {
      if (!signedNames.includes(name)) return `${name} is not signed`;
    }
    if (headers['x-amz-content-sha256'] !== createHash('sha256').update(body).digest('hex')) return 'The body is another one';
    if (headers['x-amz-security-token'] !== this.#options.credentials.sessionToken) return 'The security token is invalid';
    const [path = '', query = ''] = url.split('?');
    const signed = await this.#signer.sign(
      {
        method,
        protocol: 'http:',
        hostname: '127.0.0.1',
        path,
        query: Object.fromEntries(new URLSearchParams(query.replaceAll('+', '%2B'))),
        headers: Object.fromEntries(signedNames.map((name) => [name, String(headers[name])])),
        body,
      },
      { signingDate: dateOf(String(headers['x-amz-date'])) },
    );
    const expected = signed.headers['authorization'];
    return authorization === expected
      ? undefined
      : 'The request signature we calculated does not match the signature you provided';
  }
}

/** `20150830T123600Z`. */
function dateOf(text: string): Date {
  return new Date(text.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)$/, '$1-$2-$3:$4:$5'));
}
