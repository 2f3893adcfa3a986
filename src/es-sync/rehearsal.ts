/**
 * Loads, one after the other, what the programs load when they start, and does nothing with it. The build of the executable runs this once
 * and keeps the code that has been compiled by then: a start takes half the time. It asks nobody anything, waits for nothing and starts no
 * timer (as `Metrics.start` would), so that each build compiles the same.
 */
export async function rehearse(): Promise<void> {
  await import('../service/log.ts').then(({ createLog }) => createLog({ program: 'es-sync', level: 'silent', format: 'json' }));
  await import('../es-watcher/config.ts');
  await import('../es-watcher/watcher.ts');
  await import('../es-writer/config.ts');
  await import('../es-writer/writer.ts');
  await import('../nats-gateway/config.ts');
  await import('../nats-gateway/session.ts');
  await import('../nats3/config.ts');
  await import('../nats3/routes.ts');
  await import('../nats3/server.ts');
  await import('./config.ts');
  await import('./sync.ts');
  const { Registry } = await import('@prometheus-io/client');
  await new Registry().metrics();
  const { withoutSchemas } = await import('../service/admin.ts');
  const { fastify } = await import('fastify');
  const app = fastify({ logger: false, forceCloseConnections: true, schemaController: withoutSchemas });
  app.get('/health', async (_request, reply) => reply.code(200).send({ status: 'ok' }));
  await app.ready();
}
