import { clientOptionsOf, connectCluster, type ElasticClient, type Server } from '../elastic/index.ts';
import { connectNats, type NatsLink, natsSettingsOf } from '../jetstream/index.ts';
import type { Log } from '../service/log.ts';
import type { WriterSettings } from './config.ts';

export type Peers = { client: ElasticClient; server: Server; link: NatsLink };

/** Connects to both sides; throws what a user can act on. */
export async function connectPeers(settings: WriterSettings, log: Log): Promise<Peers> {
  const cluster = await connectTarget(settings, log);
  try {
    return { ...cluster, link: await connectStreams(settings, log) };
  } catch (error) {
    await cluster.client.close();
    throw error;
  }
}

export function connectTarget(settings: WriterSettings, log: Log): Promise<Omit<Peers, 'link'>> {
  const options = {
    ...clientOptionsOf(settings),
    connectionsPerHost: settings.bulkConcurrency + 4,
    onHostSkipped: (host: string, pauseMs: number, reason: string) =>
      log.warn({ host, pauseMs, reason }, 'a target host is skipped for a while'),
  };
  return connectCluster(options, (text) => log.warn(text));
}

export function connectStreams(settings: WriterSettings, log: Log): Promise<NatsLink> {
  return connectNats(natsSettingsOf(settings, 'es-writer'), {
    onState: (state) => log.info({ server: state.server }, `NATS ${state.is}`),
  });
}
