import { clientOptionsOf, createClient, type ElasticClient, identify, requireOneCluster, type Server } from '../elastic/index.ts';
import { connectNats, type NatsLink, natsSettingsOf } from '../jetstream/index.ts';
import type { Log } from '../service/log.ts';
import type { WriterSettings } from './config.ts';

export type Peers = { client: ElasticClient; server: Server; link: NatsLink };

/** Connects to both sides; throws what a user can act on. */
export async function connectPeers(settings: WriterSettings, log: Log): Promise<Peers> {
  const options = clientOptionsOf(settings);
  const client = createClient({
    ...options,
    connectionsPerHost: settings.bulkConcurrency + 4,
    onHostSkipped: (host, pauseMs, reason) => log.warn({ host, pauseMs, reason }, 'a target host is skipped for a while'),
  });
  try {
    const server = await identify(client);
    if (server.warning !== undefined) log.warn(server.warning);
    await requireOneCluster(options, server);
    const link = await connectNats(natsSettingsOf(settings, 'es-writer'), {
      onState: (state) => log.info({ server: state.server }, `NATS ${state.is}`),
    });
    return { client, server, link };
  } catch (error) {
    await client.close();
    throw error;
  }
}
