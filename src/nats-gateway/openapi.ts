type Json = { [key: string]: unknown };

const object = (properties: Json, required: readonly string[] = Object.keys(properties)): Json => ({
  type: 'object',
  properties,
  required,
});
const text: Json = { type: 'string' };
const number: Json = { type: 'number' };
const texts: Json = { type: 'array', items: text };
const json = (description: string, schema: Json): Json => ({ description, content: { 'application/json': { schema } } });

const probe = object({ status: text, reasons: texts }, ['status']);
const failure = json(
  'Why not, and what to do.',
  object({ error: object({ code: text, message: text, hint: text }, ['code', 'message']) }),
);
const unauthorised = { '401': failure, '403': failure };
const guarded = [{ token: [] }];

/** The admin API as an OpenAPI 3.1 document. */
export function openApi(version: string): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'nats-gateway admin API',
      version,
      description:
        'Without an admin token changes (POST) are accepted from the gateway’s own machine only, and everything may be read.',
    },
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    paths: {
      '/health': {
        get: {
          summary: 'Whether the gateway lives and can do its work; full streams and peers that are away are named.',
          responses: {
            '200': json(
              'It lives.',
              object({
                status: text,
                program: text,
                version: text,
                uptimeSeconds: number,
                checks: object({ live: probe, ready: probe }),
              }),
            ),
            '503': json('It should be restarted.', object({ status: text })),
          },
        },
      },
      '/health/live': {
        get: {
          summary: 'Whether it should be restarted.',
          responses: { '200': json('No.', probe), '503': json('Yes, for these reasons.', probe) },
        },
      },
      '/health/ready': {
        get: {
          summary: 'Whether it can do its work now.',
          responses: { '200': json('Yes.', probe), '503': json('No, for these reasons.', probe) },
        },
      },
      '/metrics': {
        get: {
          summary: 'Metrics for Prometheus.',
          responses: { '200': { description: 'In its text format.', content: { 'text/plain': {} } } },
        },
      },
      '/stats': {
        get: {
          summary: 'Figures: by index and operation, rates, lag, outputs, the embedded server.',
          security: guarded,
          responses: {
            '200': json(
              'Figures since the start. Of frames that a subject filter keeps back the documents are counted where a header tells them.',
              object(
                {
                  upstream: object({ server: text, connected: { type: 'boolean' }, stream: text }),
                  outputs: {
                    type: 'object',
                    additionalProperties: object({ server: text, stream: text, full: { type: 'boolean' } }),
                  },
                  totals: object({
                    frames: number,
                    documents: number,
                    bytes: number,
                    deadLetters: number,
                    redeliveries: number,
                    settled: number,
                  }),
                  rates: object({ seconds: number, framesPerSecond: number, documentsPerSecond: number, bytesPerSecond: number }),
                  indices: {
                    type: 'array',
                    items: object({
                      index: text,
                      operation: text,
                      frames: object({ in: number, filtered: number }),
                      documents: object({ in: number, passed: number, filtered: number, transformed: number, failed: number }),
                    }),
                  },
                  lag: object({ pending: number, ackPending: number, redelivered: number }),
                  drops: object({ notPassed: number, notAcknowledgedDownstream: number }),
                  paused: { type: 'boolean' },
                  embedded: object({ is: text, pid: number, restarts: number, lastExit: text }, ['is', 'restarts']),
                },
                [],
              ),
            ),
            ...unauthorised,
          },
        },
      },
      '/config': {
        get: {
          summary: 'The settings in force, each with where it came from. Secrets are hidden.',
          security: guarded,
          responses: {
            '200': json('By key.', { type: 'object', additionalProperties: object({ value: {}, origin: text }) }),
            ...unauthorised,
          },
        },
      },
      '/openapi.json': {
        get: {
          summary: 'This document.',
          security: guarded,
          responses: { '200': json('It.', { type: 'object' }), ...unauthorised },
        },
      },
      '/reload': {
        post: {
          summary: 'Reads the settings again, checks them whole, and swaps filters, transforms and routes between two messages.',
          security: guarded,
          responses: {
            '200': json('What changed, and what would take a restart.', object({ changed: texts, needRestart: texts })),
            '422': failure,
            '503': failure,
            ...unauthorised,
          },
        },
      },
      '/pause': {
        post: {
          summary: 'Passes nothing more on; what is under way is finished.',
          security: guarded,
          responses: { '200': json('Paused.', object({ paused: { type: 'boolean' } })), '503': failure, ...unauthorised },
        },
      },
      '/resume': {
        post: {
          summary: 'Goes on.',
          security: guarded,
          responses: { '200': json('Going on.', object({ paused: { type: 'boolean' } })), '503': failure, ...unauthorised },
        },
      },
    },
  };
}
