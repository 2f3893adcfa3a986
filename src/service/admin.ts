import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { GatewayError } from '../core/errors.ts';
import { formatListen, type ListenAddress } from './kinds.ts';
import type { Metrics } from './metrics.ts';

/** What a program says of itself. Lists are reasons: empty means yes. All are answered at once, from what is known. */
export type Probes = {
  /** Why it should be restarted. */
  live(): readonly string[];
  /** Why it cannot do its work now. */
  ready(): readonly string[];
  /** Figures for people, as JSON. */
  stats(): object;
};

export type AdminOptions = {
  program: string;
  version: string;
  listen: Exclude<ListenAddress, 'off'>;
  probes: Probes;
  metrics: Metrics;
  /** Added before the routes that every program has: its hooks hold for those too. */
  routes?: (app: FastifyInstance) => void;
};

export type Admin = { address: string; close(): Promise<void> };

/**
 * Serves /health, /health/live, /health/ready, /stats and /metrics. Throws GatewayError ADMIN_LISTEN_FAILED.
 * Fastify is loaded here and not with the program, as it takes 60 ms and more.
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const { fastify } = await import('fastify');
  const app = fastify({ logger: false, forceCloseConnections: true, schemaController: withoutSchemas });
  options.routes?.(app);
  adminRoutes(app, options);
  try {
    await app.listen({ host: options.listen.host, port: options.listen.port });
  } catch (error) {
    await app.close();
    throw listenError(options.listen, error);
  }
  const bound = app.server.address() as AddressInfo;
  return { address: formatListen({ host: bound.address, port: bound.port }), close: () => app.close() };
}

/** No route has a JSON schema: Fastify would load two compilers for them with every start, 30 ms. */
export const withoutSchemas = { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } };

function noCompiler(): never {
  throw new TypeError('a route has a schema, and there is no compiler for it');
}

/** The routes alone, for a program with an HTTP server of its own. */
function adminRoutes(app: FastifyInstance, { program, version, probes, metrics }: Omit<AdminOptions, 'listen' | 'routes'>): void {
  app.get('/health', async (_request, reply) => {
    const [failing, waiting] = [probes.live(), probes.ready()];
    const status = failing.length > 0 ? 'failing' : waiting.length > 0 ? 'not ready' : 'ok';
    const checks = { live: answer('failing', failing), ready: answer('not ready', waiting) };
    return reply
      .code(failing.length > 0 ? 503 : 200)
      .send({ status, program, version, uptimeSeconds: Math.floor(process.uptime()), checks });
  });
  app.get('/health/live', async (_request, reply) => {
    const reasons = probes.live();
    return reply.code(reasons.length > 0 ? 503 : 200).send(answer('failing', reasons));
  });
  app.get('/health/ready', async (_request, reply) => {
    const reasons = probes.ready();
    return reply.code(reasons.length > 0 ? 503 : 200).send(answer('not ready', reasons));
  });
  app.get('/stats', async () => ({ program, version, uptimeSeconds: Math.floor(process.uptime()), ...probes.stats() }));
  app.get('/metrics', async (_request, reply) => {
    const { contentType, body } = await metrics.scrape();
    return reply.type(contentType).send(body);
  });
}

function answer(otherwise: string, reasons: readonly string[]): { status: string; reasons?: readonly string[] } {
  return reasons.length === 0 ? { status: 'ok' } : { status: otherwise, reasons };
}

function listenError(listen: Exclude<ListenAddress, 'off'>, cause: unknown): GatewayError {
  const why: Record<string, string> = {
    EADDRINUSE: 'another program listens there',
    EACCES: 'no permission for that port',
    EADDRNOTAVAIL: 'this machine has no such address',
    ENOTFOUND: 'the host name is unknown',
  };
  const { code = '', message } = cause as NodeJS.ErrnoException;
  return new GatewayError(
    'ADMIN_LISTEN_FAILED',
    `cannot listen on ${formatListen(listen)} (--admin-listen): ${why[code] ?? message}`,
    {
      hint: 'choose another --admin-listen HOST:PORT; port 0 takes a free one, off serves none',
      cause,
    },
  );
}
