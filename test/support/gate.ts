import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An answer given instead of the cluster's own. */
export type Instead = { status: number; body: unknown };

/** Stands before a cluster and answers some requests in its place, or slows its answers down: for what the servers at hand cannot be made to do. */
export class Gate {
  readonly url: string;
  readonly #server: Server;
  readonly #target: URL;
  /** Asked for each request; undefined lets it through. May be replaced at any time. */
  answer: (method: string, path: string) => Instead | undefined = () => undefined;
  /** Requests that it has answered itself. */
  answered = 0;
  /** The cluster's answers come after so many times the time that it takes for them. */
  slowdown = 1;

  private constructor(server: Server, target: string) {
    this.#server = server;
    this.#target = new URL(target);
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (incoming, outgoing) => this.#handle(incoming, outgoing));
  }

  static async before(target: string): Promise<Gate> {
    const server = createServer();
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, '127.0.0.1', resolve);
    await promise;
    return new Gate(server, target);
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #handle(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method = 'GET', url: path = '/', headers } = incoming;
    const instead = this.answer(method, path);
    if (instead !== undefined) {
      this.answered++;
      incoming.resume();
      outgoing.writeHead(instead.status, { 'content-type': 'application/json' }).end(JSON.stringify(instead.body));
      return;
    }
    const startedAt = performance.now();
    const onward = request({ host: this.#target.hostname, port: this.#target.port, method, path, headers }, (answer) => {
      const pass = (): void => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      };
      const waitMs = (performance.now() - startedAt) * (this.slowdown - 1);
      if (waitMs > 0) setTimeout(pass, waitMs);
      else pass();
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  }
}

/** What a cluster with security says to a user who may not do something. */
export function forbidden(action: string): Instead {
  const reason = `action [${action}] is unauthorized for user [sync] with effective roles [reader]`;
  const error = { type: 'security_exception', reason };
  return { status: 403, body: { error: { root_cause: [error], ...error }, status: 403 } };
}
