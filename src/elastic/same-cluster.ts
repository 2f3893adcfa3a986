import { GatewayError } from '../core/errors.ts';
import { type ClientOptions, createClient } from './client.ts';
import { identify, type Server } from './server.ts';

/**
 * Hosts are used in turn, so they must be of one cluster. Asks each by itself; one that does not answer now is passed over. Throws
 * ES_HOSTS_DIFFER when two clusters are among them.
 */
export async function requireOneCluster(options: ClientOptions, expected: Server): Promise<void> {
  if (options.hosts.length < 2) return;
  const found = await Promise.all(
    options.hosts.map(async (host) => {
      const client = createClient({ ...options, hosts: [host] });
      try {
        return { host: client.hosts[0]!, server: await identify(client) };
      } catch {
        return undefined;
      } finally {
        await client.close();
      }
    }),
  );
  for (const one of found) {
    if (one === undefined || one.server.clusterUuid === expected.clusterUuid) continue;
    const setting = options.hostsSetting ?? '--es-hosts';
    throw new GatewayError(
      'ES_HOSTS_DIFFER',
      `${one.host} belongs to another cluster (${one.server.clusterName}) than the other hosts of ${setting}`,
      {
        hint: `${setting} (ES_HOSTS) takes the hosts of one cluster: they are used in turn`,
      },
    );
  }
}
