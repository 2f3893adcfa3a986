import type { ElasticClient } from './client.ts';
import { ElasticError } from './errors.ts';

type ServerVersion = { major: number; minor: number; text: string };

/** What a cluster is. `warning` is there for one that is newer, or a little older, than what was tried. */
export type Server = {
  distribution: 'elasticsearch' | 'opensearch';
  version: ServerVersion;
  clusterUuid: string;
  clusterName: string;
  warning: string | undefined;
};

/** What `GET /` says. */
type Root = {
  cluster_name?: string;
  cluster_uuid?: string;
  tagline?: string;
  version?: { number?: string; distribution?: string; build_flavor?: string; lucene_version?: string };
};

const supported = 'Elasticsearch 7.17, 8 and 9, OpenSearch 2 and 3';
const newestTried = { elasticsearch: 9, opensearch: 3 };

/** Asks a cluster what it is. Throws ES_UNSUPPORTED for one this product cannot work with. */
export async function identify(client: ElasticClient, signal?: AbortSignal): Promise<Server> {
  const root = await client.json({ method: 'GET', path: '/', needs: 'the cluster privilege `monitor`', signal });
  return readRoot(root, client.hosts.join(', '));
}

/** Reads the answer to `GET /`; `where` names the cluster in errors. */
export function readRoot(root: unknown, where: string): Server {
  const { cluster_name, cluster_uuid, tagline, version } = (root ?? {}) as Root;
  const text = version?.number ?? '';
  const [major = Number.NaN, minor = Number.NaN] = text.split('.').map(Number);
  if (!Number.isInteger(major) || !Number.isInteger(minor)) throw unsupported(`${where} is not Elasticsearch or OpenSearch`);
  const server: Server = {
    distribution: distributionOf(version?.distribution, tagline, text, version?.lucene_version),
    version: { major, minor, text },
    clusterUuid: cluster_uuid ?? '',
    clusterName: cluster_name ?? '',
    warning: undefined,
  };
  // A node that has not joined its cluster yet says `_na_`.
  if (server.clusterUuid === '' || server.clusterUuid === '_na_') throw notJoined(where);
  check(server, where);
  return server;
}

/**
 * OpenSearch names itself in `version.distribution`; Amazon's compatibility mode reports 7.10.2 instead of its version, but keeps
 * OpenSearch's tagline, or at least a Lucene newer than Elasticsearch 7.10's 8.7.
 */
function distributionOf(
  distribution: string | undefined,
  tagline: string | undefined,
  version: string,
  lucene: string | undefined,
): Server['distribution'] {
  if (distribution === 'opensearch' || /opensearch/i.test(tagline ?? '')) return 'opensearch';
  return version === '7.10.2' && lucene !== undefined && lucene !== '8.7.0' ? 'opensearch' : 'elasticsearch';
}

function check(server: Server, where: string): void {
  const { distribution, version } = server;
  const compatibilityMode = distribution === 'opensearch' && version.text === '7.10.2';
  if (compatibilityMode) return;
  const tooOld = distribution === 'opensearch' ? before(version, 1, 3) : before(version, 7, 17);
  if (tooOld) throw unsupported(`${where} is ${distribution} ${version.text}, which is too old`);
  const otherwise = version.major > newestTried[distribution] ? 'newer' : version.major === 1 ? 'older' : undefined;
  if (otherwise === undefined) return;
  server.warning = `${distribution} ${version.text} is ${otherwise} than what this version was tried with (${supported})`;
}

function before(version: ServerVersion, major: number, minor: number): boolean {
  return version.major < major || (version.major === major && version.minor < minor);
}

function unsupported(message: string): ElasticError {
  return new ElasticError('ES_UNSUPPORTED', message, { hint: `supported are ${supported}` });
}

function notJoined(where: string): ElasticError {
  return new ElasticError('ES_UNAVAILABLE', `${where} has not joined its cluster yet`, {
    transient: true,
    hint: 'wait for the cluster to elect a master node',
  });
}
