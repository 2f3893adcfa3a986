import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from './random.ts';

export type Fault = 'cut' | 'refuse' | 'halfOpen' | 'slow' | 'cutLater' | 'none';

/** A TCP proxy whose connections can be made to fail in the ways of real networks. */
export class Proxy {
  readonly port: number;
  readonly #server: Server;
  readonly #target: { host: string; port: number };
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #refusing = false;
  #swallowing = false;
  #delayMs = 0;
  #bytesLeft = Infinity;
  /** How often each fault was applied, for the report. */
  readonly applied = new Map<Fault, number>();

  private constructor(server: Server, port: number, target: { host: string; port: number }) {
    [this.#server, this.port, this.#target] = [server, port, target];
    server.on('connection', (socket) => this.#accept(socket));
  }

  static async to(url: string): Promise<Proxy> {
    const { hostname, port } = new URL(url);
    const server = createServer({ allowHalfOpen: false });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    return new Proxy(server, address.port, { host: hostname, port: Number(port) });
  }

  /** The target's URL by way of this proxy. */
  url(scheme: 'http' | 'nats'): string {
    return `${scheme}://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Puts a fault in place; `heal` ends it. A cut is over at once. */
  apply(fault: Fault, random: Random): void {
    this.applied.set(fault, (this.applied.get(fault) ?? 0) + 1);
    switch (fault) {
      case 'cut':
        return this.cut();
      case 'refuse':
        this.#refusing = true;
        return this.cut();
      case 'halfOpen':
        this.#swallowing = true;
        return undefined;
      case 'slow':
        this.#delayMs = random.between(20, 250);
        return undefined;
      case 'cutLater':
        this.#bytesLeft = random.between(1, 200_000);
        return undefined;
      case 'none':
        return undefined;
    }
  }

  /** Ends all faults. What a half-open connection swallowed is lost, so such connections end. */
  heal(): void {
    if (this.#swallowing) this.cut();
    this.#refusing = false;
    this.#swallowing = false;
    this.#delayMs = 0;
    this.#bytesLeft = Infinity;
  }

  /** Resets every connection. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    client.on('error', () => undefined);
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.#target);
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    this.#join(client, server);
    this.#join(server, client);
    const drop = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    server.on('error', drop);
    client.on('close', drop);
    server.on('close', drop);
  }

  /** Passes on what comes, one chunk after the other, so that a slow connection keeps its order. */
  #join(from: Socket, to: Socket): void {
    from.on('end', () => to.end());
    from.on('data', (chunk: Buffer) => {
      from.pause();
      void this.#pass(chunk, to).finally(() => from.resume());
    });
  }

  async #pass(chunk: Buffer, to: Socket): Promise<void> {
    if (this.#swallowing) return;
    if (this.#delayMs > 0) await pause(this.#delayMs);
    const part = chunk.subarray(0, Math.max(0, this.#bytesLeft));
    this.#bytesLeft -= chunk.length;
    if (!to.destroyed && !to.write(part))
      await new Promise<void>((resolve) => to.once('drain', resolve).once('close', () => resolve()));
    if (this.#bytesLeft <= 0) {
      this.#bytesLeft = Infinity;
      this.cut();
    }
  }
}
