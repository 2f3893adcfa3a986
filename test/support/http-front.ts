import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Refuse = (method: string, path: string) => { status: number; body: object } | undefined;

/** Stands before a cluster and passes everything on, except what it is told to answer itself; as slowly as it is told to. */
export class HttpFront {
  readonly #server: Server;
  refuse: Refuse = () => undefined;
  refused = 0;
  /** An answer comes after so many times the time that the cluster takes for it. */
  slowdown = 1;

  static async to(url: string): Promise<HttpFront> {
    const front = new HttpFront(url);
    await new Promise<void>((resolve) => front.#server.listen(0, '127.0.0.1', resolve));
    return front;
  }

  private constructor(url: string) {
    this.#server = createServer((incoming, outgoing) => {
      const refusal = this.refuse(incoming.method ?? '', incoming.url ?? '');
      if (refusal !== undefined) {
        this.refused++;
        incoming.resume();
        outgoing.writeHead(refusal.status, { 'content-type': 'application/json' }).end(JSON.stringify(refusal.body));
        return;
      }
      const startedAt = performance.now();
      const passed = request(
        new URL(incoming.url ?? '/', url),
        { method: incoming.method, headers: incoming.headers },
        (answer) => {
          const pass = (): void => {
            outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
            answer.pipe(outgoing);
          };
          const waitMs = (performance.now() - startedAt) * (this.slowdown - 1);
          if (waitMs > 0) setTimeout(pass, waitMs);
          else pass();
        },
      );
      passed.on('error', () => outgoing.destroy());
      incoming.pipe(passed);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
