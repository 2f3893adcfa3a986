import { Pool } from 'undici';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { BufferPool } from '../core/buffer-pool.ts';
import { authenticator, type Auth, type Authenticator } from './auth.ts';
import { answerInvalid, ElasticError } from './errors.ts';
import { lossError, lossOf, serverReason, statusError, type Attempt } from './failure.ts';
import { HostRing, parseHost, type Host } from './hosts.ts';
import { queryString } from './path.ts';
import { readBody } from './response.ts';
import type { SignableRequest } from './sigv4.ts';

export type ClientOptions = {
  /** `http://user:password@host:9200/prefix`, used in turn; the scheme may be left out. */
  hosts: readonly string[];
  /** Default: what a host's own address carries. */
  auth?: Auth;
  /** PEM texts; `verify: false` accepts any certificate. */
  tls?: { ca?: string; cert?: string; key?: string; verify?: boolean };
  /** Longest wait for the head of an answer, and for each next part of it. */
  timeoutMs?: number;
  connectTimeoutMs?: number;
  connectionsPerHost?: number;
  responseBytesMax?: number;
  /** Sends request bodies above 1 KiB as gzip: for a cluster far away. */
  compressRequests?: boolean;
  /** Names of settings, for hints. */
  hostsSetting?: string;
  authSetting?: string;
  /** A host failed and is skipped for `pauseMs` from now. Not called where there is no other. */
  onHostSkipped?: (host: string, pauseMs: number, reason: string) => void;
  now?: () => number;
};

export type ElasticRequest = {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** Encoded: see `indexPath`. */
  path: string;
  query?: Readonly<Record<string, string | number | boolean>>;
  body?: string | Uint8Array;
  /** Default `application/json`. */
  contentType?: string;
  timeoutMs?: number;
  responseBytesMax?: number;
  signal?: AbortSignal | undefined;
  /** Where the memory of the answer comes from; whoever has asked gives `body` back to it. */
  memory?: BufferPool | undefined;
  /** True when sending it twice does no harm. Default: everything but POST. */
  repeatable?: boolean;
  /** The privilege it takes, for the hint of a 403. */
  needs?: string;
};

export type ElasticAnswer = { status: number; body: Buffer; host: string };

/** One cluster over HTTP. Its failures are `ElasticError`s. */
export interface ElasticClient {
  /** Without credentials. */
  readonly hosts: readonly string[];
  /** Any status is an answer. Throws where there is none: ES_UNREACHABLE, ES_TIMEOUT, ES_TLS, ES_ABORTED, RESPONSE_TOO_LARGE. */
  request(request: ElasticRequest): Promise<ElasticAnswer>;
  /** As `request`; throws for a status of 400 or more too. */
  ok(request: ElasticRequest): Promise<ElasticAnswer>;
  /** As `ok`, with the answer parsed. */
  json(request: ElasticRequest): Promise<unknown>;
  close(): Promise<void>;
}

const clientDefaults = {
  timeoutMs: 30_000,
  connectTimeoutMs: 5_000,
  connectionsPerHost: 16,
  responseBytesMax: 128 * 1024 * 1024,
  hostsSetting: '--es-hosts',
  authSetting: '--es-username, --es-api-key or --es-aws-region',
};

/** Makes no connection yet. Throws UsageError for an address that is none. */
export function createClient(options: ClientOptions): ElasticClient {
  return new HttpClient(options);
}

type Target = { pool: Pool; authenticate: Authenticator };
const gzipAsync = promisify(gzip);
const gzipFromBytes = 1024;

class HttpClient implements ElasticClient {
  readonly hosts: readonly string[];
  readonly #options: ClientOptions & typeof clientDefaults;
  readonly #ring: HostRing;
  readonly #targets = new Map<Host, Target>();

  constructor(options: ClientOptions) {
    this.#options = { ...clientDefaults, ...options };
    const now = options.now ?? Date.now;
    const hosts = options.hosts.map((text) => parseHost(text, this.#options.hostsSetting));
    this.#ring = new HostRing(hosts, now);
    this.hosts = hosts.map((host) => host.origin + host.prefix);
    for (const host of hosts) {
      const own: Auth = host.user === '' ? { kind: 'none' } : { kind: 'basic', user: host.user, password: host.password };
      this.#targets.set(host, { pool: this.#pool(host), authenticate: authenticator(options.auth ?? own, now) });
    }
  }

  #pool(host: Host): Pool {
    const { tls, connectTimeoutMs, connectionsPerHost } = this.#options;
    return new Pool(host.origin, {
      connections: connectionsPerHost,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: 30_000,
      connect: {
        timeout: connectTimeoutMs,
        ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
        ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
        ...(tls?.key === undefined ? {} : { key: tls.key }),
        ...(tls?.verify === undefined ? {} : { rejectUnauthorized: tls.verify }),
      },
    });
  }

  async request(request: ElasticRequest): Promise<ElasticAnswer> {
    const repeatable = request.repeatable ?? request.method !== 'POST';
    const tried = new Set<Host>();
    const body = await this.#body(request);
    // One more than there are hosts: a connection kept alive may have been closed by the other side just now.
    for (let left = this.#ring.hosts.length; ; left--) {
      const host = this.#ring.next(tried) ?? this.#ring.hosts[0]!;
      try {
        const answer = await this.#send(host, request, body);
        if (!gatewayFailed(answer)) {
          this.#ring.answered(host);
          return answer;
        }
        this.#skip(host, `status ${answer.status}`);
        tried.add(host);
        if (!repeatable || tried.size === this.#ring.hosts.length) return answer;
      } catch (error) {
        const loss = lossOf(error);
        if (error instanceof ElasticError || loss.kind === 'aborted' || loss.kind === 'closed')
          throw this.#error(error, request, host);
        if (loss.kind !== 'lost' || tried.has(host)) this.#skip(host, loss.text);
        const others = this.#ring.hosts.length > tried.size + (tried.has(host) ? 0 : 1);
        const again = loss.kind === 'unsent' || loss.kind === 'tls' ? others : loss.kind === 'lost' && repeatable;
        if (!again || left === 0) throw this.#error(error, request, host);
        tried.add(host);
      }
    }
  }

  async #body(request: ElasticRequest): Promise<{ bytes: string | Uint8Array | null; headers: Record<string, string> }> {
    const { body } = request;
    if (body === undefined) return { bytes: null, headers: {} };
    const headers = { 'content-type': request.contentType ?? 'application/json' };
    if (this.#options.compressRequests !== true || body.length < gzipFromBytes) return { bytes: body, headers };
    return { bytes: await gzipAsync(body, { level: 1 }), headers: { ...headers, 'content-encoding': 'gzip' } };
  }

  async #send(host: Host, request: ElasticRequest, body: { bytes: string | Uint8Array | null; headers: Record<string, string> }) {
    const { pool, authenticate } = this.#targets.get(host)!;
    const path = host.prefix + request.path;
    const query = queryString(request.query);
    const signable: SignableRequest = { method: request.method, host: host.name, path, query, body: body.bytes ?? '' };
    const timeoutMs = request.timeoutMs ?? this.#options.timeoutMs;
    const response = await pool.request({
      method: request.method,
      path: query === '' ? path : `${path}?${query}`,
      body: body.bytes,
      headers: { accept: 'application/json', ...body.headers, ...(await authenticate(signable)) },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      signal: request.signal ?? null,
    });
    const bytesMax = request.responseBytesMax ?? this.#options.responseBytesMax;
    const bytes = await readBody(response, bytesMax, request.path, request.memory);
    return { status: response.statusCode, body: bytes, host: host.origin };
  }

  #skip(host: Host, reason: string): void {
    const pauseMs = this.#ring.failed(host);
    if (pauseMs > 0 && this.#ring.hosts.length > 1) this.#options.onHostSkipped?.(host.origin, pauseMs, reason);
  }

  #error(error: unknown, request: ElasticRequest, host: Host): unknown {
    if (error instanceof ElasticError) return error;
    return lossError(lossOf(error), this.#attempt(request, host.origin), request.timeoutMs ?? this.#options.timeoutMs, error);
  }

  #attempt(request: ElasticRequest, host: string): Attempt {
    const { hostsSetting, authSetting } = this.#options;
    return { method: request.method, path: request.path, host, hostsSetting, authSetting, needs: request.needs };
  }

  async ok(request: ElasticRequest): Promise<ElasticAnswer> {
    const answer = await this.request(request);
    if (answer.status >= 400) throw statusError(answer.status, answer.body, this.#attempt(request, answer.host));
    return answer;
  }

  async json(request: ElasticRequest): Promise<unknown> {
    const { body, host } = await this.ok(request);
    try {
      return JSON.parse(body.toString());
    } catch (error) {
      throw answerInvalid(`the answer of ${host} to ${request.method} ${request.path}`, error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#targets.values()].map(({ pool }) => pool.close()));
  }
}

/** True when the node or a proxy is out of order, not the index: then another host may do better. */
function gatewayFailed(answer: ElasticAnswer): boolean {
  if (answer.status !== 502 && answer.status !== 503 && answer.status !== 504) return false;
  const { type } = serverReason(answer.body);
  return type === '' || type === 'master_not_discovered_exception' || type === 'node_closed_exception';
}
