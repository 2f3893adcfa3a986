import { type ClientOptions, createClient, type ElasticClient } from './client.ts';
import { requireOneCluster } from './same-cluster.ts';
import { identify, type Server } from './server.ts';

/** A client of a cluster that has answered, and what that cluster is. Throws what a user can act on. */
export async function connectCluster(
  options: ClientOptions,
  warn: (text: string) => void,
): Promise<{ client: ElasticClient; server: Server }> {
  const client = createClient(options);
  try {
    const server = await identify(client);
    if (server.warning !== undefined) warn(server.warning);
    if (options.tls?.verify === false) warn('any certificate is accepted (--es-insecure-tls), so anybody could be the cluster');
    await requireOneCluster(options, server);
    return { client, server };
  } catch (error) {
    await client.close();
    throw error;
  }
}
