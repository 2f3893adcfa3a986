import { GatewayError } from '../core/errors.ts';
import type { Problem } from './schema.ts';

const timeoutMs = 60_000;

/** Talks to a nats3 server. Throws what the server says, as it says it, and SERVER_UNREACHABLE. */
export class Client {
  readonly #server: string;
  readonly #token: string | undefined;

  constructor(server: string, token: string | undefined) {
    this.#server = server.replace(/\/+$/, '');
    this.#token = token;
  }

  async call<Body>(method: string, path: string, body?: object): Promise<Body> {
    const headers: Record<string, string> = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    let answer: Response;
    try {
      answer = await fetch(`${this.#server}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (cause) {
      throw new GatewayError('SERVER_UNREACHABLE', `no nats3 server answers at ${this.#server}`, {
        hint: 'start one with nats3 server, or name it with --server (NATS3_SERVER)',
        transient: true,
        cause,
      });
    }
    const text = await answer.text();
    if (answer.ok) return (text === '' ? undefined : JSON.parse(text)) as Body;
    throw asError(answer.status, text, this.#server);
  }
}

function asError(status: number, text: string, server: string): GatewayError {
  try {
    const { code, detail, hint } = JSON.parse(text) as Problem;
    if (typeof code === 'string') return new GatewayError(code, detail, { hint });
  } catch {
    // Said below: what answers there is something else.
  }
  return new GatewayError('SERVER_FOREIGN', `${server} answered ${status} and is no nats3 server`, {
    hint: 'name the server with --server (NATS3_SERVER)',
  });
}
