import { UsageError } from '../core/errors.ts';
import { safeUrl } from '../core/safe-url.ts';

const firstPauseMs = 1_000;
const pauseMsMax = 60_000;

/** One address of a cluster. */
export type Host = {
  /** Scheme, name and port: what a connection is made to. */
  origin: string;
  /** Name and port, as the HTTP `host` header has it. */
  name: string;
  /** Path in front of every request, without a slash at the end. */
  prefix: string;
  user: string;
  password: string;
  failures: number;
  skippedUntil: number;
};

/** Reads `http://user:password@host:9200/prefix`; without a scheme, http. `setting` names the flag for the error. */
export function parseHost(text: string, setting: string): Host {
  const given = text.trim();
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(given) ? given : `http://${given}`);
  if (
    given === '' ||
    url === null ||
    !/^https?:$/.test(url.protocol) ||
    url.hostname === '' ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw new UsageError(
      'ES_HOST_INVALID',
      `"${safeUrl(given)}" is not the address of a cluster`,
      `write ${setting} as https://host:9200`,
    );
  }
  return {
    origin: url.origin,
    name: url.host,
    prefix: url.pathname.replace(/\/+$/, ''),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    failures: 0,
    skippedUntil: 0,
  };
}

/** The hosts of one cluster, used in turn. A host that failed is skipped for a pause that doubles from 1 s to 60 s. */
export class HostRing {
  readonly hosts: readonly Host[];
  readonly #now: () => number;
  #turn = 0;

  constructor(hosts: readonly Host[], now: () => number) {
    this.hosts = hosts;
    this.#now = now;
  }

  /** The next host that is not in `tried`: one that is not skipped if there is any, else the one whose pause ends first. */
  next(tried: ReadonlySet<Host>): Host | undefined {
    const now = this.#now();
    let best: Host | undefined;
    for (let i = 0; i < this.hosts.length; i++) {
      const host = this.hosts[(this.#turn + i) % this.hosts.length]!;
      if (tried.has(host)) continue;
      if (host.skippedUntil <= now) {
        best = host;
        break;
      }
      if (best === undefined || host.skippedUntil < best.skippedUntil) best = host;
    }
    if (best !== undefined) this.#turn = (this.hosts.indexOf(best) + 1) % this.hosts.length;
    return best;
  }

  /** How long the host is skipped now. A failure while it is skipped already does not lengthen the pause. */
  failed(host: Host): number {
    const now = this.#now();
    if (host.skippedUntil > now) return 0;
    const pauseMs = Math.min(pauseMsMax, firstPauseMs * 2 ** Math.min(host.failures, 10));
    host.failures++;
    host.skippedUntil = now + pauseMs;
    return pauseMs;
  }

  answered(host: Host): void {
    host.failures = 0;
    host.skippedUntil = 0;
  }
}
