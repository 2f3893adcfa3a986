import type { FastifyInstance } from 'fastify';
import type { z, ZodType } from 'zod';
import { GatewayError } from '../core/errors.ts';
import { carriesToken } from '../service/bearer.ts';
import type { JobKind } from './job.ts';
import { openApi } from './openapi.ts';
import { ApiError, badFields, sendProblem } from './problems.ts';
import { loadRequest, storeRequest } from './schema.ts';
import type { Service } from './service.ts';

/** What anybody may ask for: probes and Prometheus have no token. */
const open = /^\/(health(\/\w+)?|metrics)$/;

type Named = { Params: { name: string } };

/** Every route of the API. `service` is undefined until the server has reached NATS. */
export function apiRoutes(
  app: FastifyInstance,
  token: string | undefined,
  version: string,
  service: () => Service | undefined,
): void {
  const started = (): Service => {
    const ready = service();
    if (ready !== undefined) return ready;
    throw new GatewayError('NOT_STARTED', 'the server has not reached NATS yet', {
      hint: 'GET /health/ready says what it waits for',
      transient: true,
    });
  };
  app.addHook('onRequest', async (request, reply) => {
    if (token === undefined || open.test(request.routeOptions.url ?? '') || carriesToken(request, token)) return undefined;
    const hint = 'send it as Authorization: Bearer TOKEN; the CLI takes --token (NATS3_TOKEN)';
    return sendProblem(reply, new ApiError(401, 'UNAUTHORISED', 'the token is missing or wrong', hint));
  });
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      reply,
      new ApiError(404, 'ROUTE_MISSING', `there is no ${request.method} ${request.url}`, 'see GET /openapi.json'),
    ),
  );
  app.get('/openapi.json', async () => openApi(version));
  app.post('/store/job', async (request, reply) => {
    const job = await started().createStore(parse(storeRequest, request.body));
    return reply.code(201).send(job);
  });
  app.post('/load/job', async (request, reply) => {
    const job = await started().createLoad(parse(loadRequest, request.body));
    return reply.code(201).send(job);
  });
  for (const kind of ['store', 'load'] as const) jobRoutes(app, kind, started);
  app.get<{ Querystring: { bucket?: string; prefix?: string } }>('/archive', async ({ query: { bucket, prefix } }) => {
    if (bucket === undefined || bucket === '') {
      const message = 'is missing';
      throw new ApiError(400, 'FIELD_INVALID', `bucket: ${message}`, 'GET /archive?bucket=NAME', [{ field: 'bucket', message }]);
    }
    return started().archive(bucket, prefix);
  });
}

function jobRoutes(app: FastifyInstance, kind: JobKind, started: () => Service): void {
  app.get(`/${kind}/job`, async () => ({ jobs: started().list(kind) }));
  app.get<Named>(`/${kind}/job/:name`, async ({ params }) => started().show(kind, params.name));
  app.post<Named>(`/${kind}/job/:name/pause`, async ({ params }) => started().pause(kind, params.name));
  app.post<Named>(`/${kind}/job/:name/resume`, async ({ params }) => started().resume(kind, params.name));
  app.delete<Named>(`/${kind}/job/:name`, async ({ params }, reply) => {
    const gone = await started().remove(kind, params.name);
    return gone ? reply.code(204).send() : reply.code(202).send({ status: 'deleting' });
  });
}

function parse<Schema extends ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  throw badFields(parsed.error);
}
