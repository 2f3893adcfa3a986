import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { connect, errors, type ConnectionOptions, type NatsConnection } from '@nats-io/transport-node';
import { backoffMs } from '../core/backoff.ts';
import { GatewayError } from '../core/errors.ts';
import { safeUrl } from '../core/safe-url.ts';
import { pause, systemClock, type Clock } from './clock.ts';
import { natsFailure } from './failures.ts';
import { authenticatorOf, checkTlsFiles, type LoginFiles } from './login.ts';
import { parseServers } from './nats-url.ts';

export type NatsSettings = LoginFiles & {
  /** `nats://user:password@host:4222`, `nats://token@host`, `tls://host`, `host:port`. */
  urls: readonly string[];
  /** Name of the connection, shown by the server's own tools. */
  name: string;
  user?: string;
  password?: string;
  token?: string;
  /** JetStream domain, for a leaf node. */
  domain?: string;
  /** For users who may not subscribe to `_INBOX.>`. */
  inboxPrefix?: string;
};

type ConnectionState = { is: 'connected' | 'disconnected'; server: string };

/** `denied`: the server refused a publish or subscription for want of permission; nothing else answers such a publish. */
/** `closed`: for good; whoever watches a link that is closed already is told at once. */
export type LinkEvent =
  | ConnectionState
  | { is: 'closed' }
  | { is: 'denied'; operation: 'publish' | 'subscription'; subject: string };

export type ConnectOptions = {
  /** Wait for a server that is not there yet. Wrong credentials and wrong settings fail at once either way. */
  waitOnFirstConnect?: boolean;
  /** Called after each failed attempt while waiting. */
  onWaiting?: (error: GatewayError) => void;
  onState?: (state: ConnectionState) => void;
  /** The connection is closed for good: with the reason, unless this side closed it. */
  onClosed?: (error: GatewayError | undefined) => void;
  /** Ends the waiting. */
  signal?: AbortSignal;
  clock?: Clock;
};

/** A connection with JetStream behind it. It reconnects for ever by itself. */
export type NatsLink = {
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  /** `$JS.API`, or that of the domain. */
  readonly apiPrefix: string;
  /** Prefix of reply subjects. */
  readonly inboxPrefix: string;
  /** Servers as configured, `host:port, host:port`; never credentials. */
  readonly server: string;
  readonly connected: boolean;
  /** Largest message in bytes, headers included. */
  readonly maxPayload: number;
  /** Tells every change of the connection; the answer ends it. */
  watch(tell: (event: LinkEvent) => void): () => void;
  /** Sends what is buffered and closes. */
  close(): Promise<void>;
};

const connectTimeoutMs = 5_000;
const drainMaxMs = 5_000;
const firstConnect = { minMs: 200, maxMs: 5_000 };
/** How long a server that says it has JetStream may leave it unanswered: it is still starting, or electing a leader. */
const jetstreamStartMs = 10_000;

/**
 * Connects and checks that JetStream answers. Throws NATS_UNREACHABLE (transient), NATS_UNAUTHORISED, NATS_TLS, NATS_URL_INVALID,
 * NATS_CREDENTIALS_FILE, JETSTREAM_DISABLED.
 */
export async function connectNats(settings: NatsSettings, options: ConnectOptions = {}): Promise<NatsLink> {
  const clock = options.clock ?? systemClock;
  const list = parseServers(settings.urls);
  const server = list.servers.join(', ');
  const attemptOptions = await libraryOptions(settings, list);
  for (let attempt = 1; ; attempt++) {
    try {
      return await open(settings, attemptOptions, server, options, clock);
    } catch (error) {
      const failure = connectFailure(error, server, attemptOptions);
      if (!failure.transient || options.waitOnFirstConnect !== true) throw failure;
      options.onWaiting?.(failure);
      await pause(clock, backoffMs(attempt, firstConnect));
      if (options.signal?.aborted === true) throw failure;
    }
  }
}

/** A server that misses the client's certificate says nothing: the client library waits until its time is up. */
function connectFailure(error: unknown, server: string, { tls }: ConnectionOptions): GatewayError {
  const failure = natsFailure(error, `connecting to NATS at ${server}`);
  const certain = !(error instanceof errors.TimeoutError) || typeof tls !== 'object' || tls?.certFile !== undefined;
  if (certain) return failure;
  return new GatewayError(failure.code, failure.message, {
    hint: `${failure.hint} It may ask for a client certificate: --nats-cert-file and --nats-key-file`,
    transient: failure.transient,
    cause: error,
  });
}

async function libraryOptions(settings: NatsSettings, list: ReturnType<typeof parseServers>): Promise<ConnectionOptions> {
  const user = settings.user ?? list.user;
  const password = settings.password ?? list.password;
  const token = settings.token ?? list.token;
  const found: ConnectionOptions = {
    servers: [...list.servers],
    name: settings.name,
    timeout: connectTimeoutMs,
    pingInterval: 10_000,
    maxPingOut: 2,
    maxReconnectAttempts: -1,
    // The library gives up on the second refusal of credentials. They may be rotated while we run: keep trying, and let readiness tell.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    reconnectTimeWait: 250,
    reconnectJitter: 250,
    reconnectJitterTLS: 1_000,
  };
  if (user !== undefined) found.user = user;
  if (password !== undefined) found.pass = password;
  if (token !== undefined) found.token = token;
  if (settings.inboxPrefix !== undefined) found.inboxPrefix = settings.inboxPrefix;
  if (settings.tls !== undefined || list.tls) found.tls = { ...settings.tls };
  await checkTlsFiles(settings);
  const authenticator = await authenticatorOf(settings);
  if (authenticator !== undefined) found.authenticator = authenticator;
  return found;
}

async function open(
  settings: NatsSettings,
  libraryOptions: ConnectionOptions,
  server: string,
  options: ConnectOptions,
  clock: Clock,
): Promise<NatsLink> {
  const connection = await connect(libraryOptions);
  const domain = settings.domain === undefined ? {} : { domain: settings.domain };
  try {
    const manager = await jetstreamManager(connection, { ...domain, checkAPI: false });
    await awaitJetstream(connection, manager, server, clock);
    let connected = true;
    const watchers = new Set<(event: LinkEvent) => void>();
    let maxPayload = connection.info?.max_payload ?? 1_048_576;
    const link: NatsLink = {
      connection,
      manager,
      jetstream: jetstream(connection, domain),
      apiPrefix: settings.domain === undefined ? '$JS.API' : `$JS.${settings.domain}.API`,
      inboxPrefix: settings.inboxPrefix ?? '_INBOX',
      server,
      get connected() {
        return connected && !connection.isClosed();
      },
      get maxPayload() {
        // Unknown while a reconnect is under way: the last known one holds.
        maxPayload = connection.info?.max_payload ?? maxPayload;
        return maxPayload;
      },
      watch(tell) {
        watchers.add(tell);
        if (connection.isClosed()) queueMicrotask(() => watchers.has(tell) && tell({ is: 'closed' }));
        return () => void watchers.delete(tell);
      },
      close: async () => {
        if (connection.isClosed()) return;
        // A drain waits for the server to answer, which it may never do.
        const cancel = clock.after(connected ? drainMaxMs : 0, () => void connection.close());
        if (connected) await connection.drain().catch(() => undefined);
        await connection.closed();
        cancel();
      },
    };
    const tellAll = (event: LinkEvent): void => {
      for (const tell of watchers) tell(event);
    };
    const changed = (state: ConnectionState): void => {
      connected = state.is === 'connected';
      options.onState?.(state);
    };
    void follow(connection, (event) => {
      if (event.is === 'connected' || event.is === 'disconnected') changed(event);
      tellAll(event);
    });
    void closing(connection, (error) => {
      connected = false;
      tellAll({ is: 'closed' });
      options.onClosed?.(error === undefined ? undefined : natsFailure(error, `connection to NATS at ${server}`));
    });
    return link;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function follow(connection: NatsConnection, tell: (event: LinkEvent) => void): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect') tell({ is: 'disconnected', server: safeUrl(status.server) });
    else if (status.type === 'reconnect') tell({ is: 'connected', server: safeUrl(status.server) });
    else if (status.type === 'error' && status.error instanceof errors.PermissionViolationError) {
      tell({ is: 'denied', operation: status.error.operation, subject: status.error.subject });
    }
  }
}

async function closing(connection: NatsConnection, tell: (error: Error | undefined) => void): Promise<void> {
  const error = await connection.closed();
  tell(error instanceof Error ? error : undefined);
}

/** Returns once JetStream answers. A user who may not ask for the account's figures is let through: the streams will tell. */
async function awaitJetstream(
  connection: NatsConnection,
  manager: JetStreamManager,
  server: string,
  clock: Clock,
): Promise<void> {
  const until = clock.now() + jetstreamStartMs;
  for (let attempt = 1; ; attempt++) {
    try {
      await manager.getAccountInfo();
      return;
    } catch (error) {
      const failure = natsFailure(error, `asking for JetStream at ${server}`);
      if (failure.code === 'NATS_PERMISSION') return;
      const starting = failure.transient && connection.info?.jetstream === true;
      if (!starting || clock.now() >= until) {
        if (failure.code !== 'JETSTREAM_DISABLED' || starting) throw failure;
        throw new GatewayError(failure.code, `NATS at ${server} runs without JetStream: ${failure.message}`, {
          hint: failure.hint,
          cause: error,
        });
      }
      await pause(clock, backoffMs(attempt, { minMs: 50, maxMs: 1_000 }));
    }
  }
}
