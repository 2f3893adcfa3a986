import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { describeError, GatewayError } from '../core/errors.ts';
import { carriesToken } from '../service/bearer.ts';
import { openApi } from './openapi.ts';
import type { ReloadReport } from './reload.ts';

/** What an operator can ask of the gateway. Actions throw NOT_STARTED before it is at work. */
export type Desk = {
  config(): object;
  reload(): Promise<ReloadReport>;
  pause(): void;
  resume(): void;
};

/** The routes that anybody may ask: for probes and Prometheus, which have no token. */
const open = /^\/(health(\/\w+)?|metrics)$/;

/** GET /config and /openapi.json, POST /reload, /pause and /resume, and the guard before these and /stats. */
export function gatewayRoutes(app: FastifyInstance, token: string | undefined, version: string, desk: Desk): void {
  app.addHook('onRequest', async (request, reply) => {
    const refusal = open.test(request.routeOptions.url ?? '') ? undefined : refused(request, token);
    if (refusal !== undefined) return fail(reply, token === undefined ? 403 : 401, refusal);
    return undefined;
  });
  app.get('/config', async () => desk.config());
  app.get('/openapi.json', async () => openApi(version));
  app.post('/reload', async (_request, reply) => {
    try {
      return await desk.reload();
    } catch (error) {
      return fail(reply, notStarted(error) ? 503 : 422, error);
    }
  });
  for (const [path, act, paused] of [
    ['/pause', () => desk.pause(), true],
    ['/resume', () => desk.resume(), false],
  ] as const) {
    app.post(path, async (_request, reply) => {
      try {
        act();
        return { paused };
      } catch (error) {
        return fail(reply, 503, error);
      }
    });
  }
}

function notStarted(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'NOT_STARTED';
}

function fail(reply: FastifyReply, status: number, error: unknown): FastifyReply {
  const code = error instanceof GatewayError ? error.code : 'FAILED';
  const hint = error instanceof GatewayError ? error.hint : undefined;
  const message = error instanceof GatewayError ? error.message : describeError(error);
  if (status === 401) void reply.header('www-authenticate', 'Bearer');
  return reply.code(status).send({ error: { code, message, ...(hint === undefined ? {} : { hint }) } });
}

/** Undefined when the request may be served. */
function refused(request: FastifyRequest, token: string | undefined): GatewayError | undefined {
  if (token !== undefined) {
    if (carriesToken(request, token)) return undefined;
    return new GatewayError('ADMIN_UNAUTHORISED', 'the admin token is missing or wrong', {
      hint: 'send it as Authorization: Bearer TOKEN (--admin-token, ADMIN_TOKEN, ADMIN_TOKEN_FILE)',
    });
  }
  if (request.method === 'GET' || request.method === 'HEAD') return undefined;
  // A page in a browser on this machine comes from the loopback too, and says so.
  if (isLoopback(request.socket.remoteAddress ?? '') && request.headers.origin === undefined) return undefined;
  return new GatewayError('ADMIN_REMOTE', 'without an admin token changes are accepted from this machine only', {
    hint: 'set --admin-token (ADMIN_TOKEN, ADMIN_TOKEN_FILE) and send it as Authorization: Bearer TOKEN',
  });
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address);
}
