import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { backoffMs, pause } from '../core/backoff.ts';
import { describeError, GatewayError, isTransient } from '../core/errors.ts';
import { connectNats, type ConnectOptions } from '../jetstream/index.ts';
import type { Frame } from '../service/run.ts';
import { type GatewaySettings, upstreamConnection } from './config.ts';
import { EmbeddedServer } from './embedded.ts';
import type { Observer } from './observer.ts';
import { connectSides, ensureUpstream, mainPlan, type Sides, type SideUrls, streamNames } from './topology.ts';

/** What a gateway works with: both sides, and the server that it runs, if any. */
export type Ground = { sides: Sides; embedded: EmbeddedServer | undefined };

const retry = { minMs: 200, maxMs: 5_000 };

/** Starts the embedded server, connects to both sides and waits for them. Throws what waiting does not mend. */
export async function openGround(
  settings: GatewaySettings,
  upstreamGiven: boolean,
  frame: Frame,
  observer: Observer,
): Promise<Ground> {
  const { log, stopping } = frame;
  const options: ConnectOptions = {
    waitOnFirstConnect: true,
    onWaiting: (error) => observer.trouble('start', error),
    onState: (state) => log.info({ server: state.server }, `NATS ${state.is}`),
    signal: stopping,
  };
  const embedded = settings.embedded ? await EmbeddedServer.open(embeddedSettings(settings, upstreamGiven), log) : undefined;
  try {
    if (embedded !== undefined && isFresh(settings)) await embedded.prepare((url) => makeStreams(settings, upstreamGiven, url));
    await embedded?.start(stopping);
    const connecting = connectSides(settings, sideUrls(settings, upstreamGiven, embedded?.url), options);
    const sides = await (embedded === undefined ? connecting : embedded.firstReady(connecting));
    observer.trouble('start', undefined);
    return { sides, embedded };
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

/** The embedded server is upstream, unless another one is given for that. */
export function sideUrls(settings: GatewaySettings, upstreamGiven: boolean, embeddedUrl: string | undefined): SideUrls {
  const upstream = embeddedUrl === undefined || upstreamGiven ? settings.upstreamUrl : [embeddedUrl];
  const downstream = settings.downstreamUrl ?? (embeddedUrl === undefined ? upstream : [embeddedUrl]);
  return { upstream, downstream };
}

/**
 * Makes the streams of a new store before anybody else can reach the server: a watcher that came first would make ES_CHANGES for itself, and
 * fill it.
 */
async function makeStreams(settings: GatewaySettings, upstreamGiven: boolean, url: string): Promise<void> {
  const urls = sideUrls(settings, upstreamGiven, url);
  // With another server on one side nobody else is to make this side's stream in a shape of its own.
  if (urls.upstream[0] !== url || urls.downstream[0] !== url) return;
  const link = await connectNats({ ...upstreamConnection(settings, [url]), name: 'nats-gateway' }, { waitOnFirstConnect: true });
  try {
    const sides = { upstream: link, downstream: link, sameServer: true };
    const names = streamNames(settings, true);
    await (await mainPlan(settings, sides, names.downstream)).ensure();
    await ensureUpstream(settings, link, names.upstream);
  } finally {
    await link.close();
  }
}

/** No stream of the downstream name in the store yet, in whichever account. */
function isFresh({ storeDir, downstreamStream }: GatewaySettings): boolean {
  const root = join(storeDir, 'jetstream');
  const accounts = namesIn(root);
  return !accounts.some((account) => namesIn(join(root, account, 'streams')).includes(downstreamStream));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** It demands of its clients the login of the side that it is. */
function embeddedSettings(settings: GatewaySettings, upstreamGiven: boolean): Parameters<typeof EmbeddedServer.open>[0] {
  const { natsListen, natsTlsCertFile: certFile, natsTlsKeyFile: keyFile, natsTlsCaFile: caFile } = settings;
  return {
    binary: settings.natsBinary,
    listen: natsListen === 'off' ? { host: '127.0.0.1', port: 4222 } : natsListen,
    storeDir: settings.storeDir,
    maxMemoryBytes: settings.jsMaxMemory,
    maxFileBytes: settings.jsMaxFile,
    sync: settings.natsSync,
    tls: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile, caFile },
    user: upstreamGiven ? settings.downstreamUser : settings.upstreamUser,
    password: upstreamGiven ? settings.downstreamPassword : settings.upstreamPassword,
    token: upstreamGiven ? settings.downstreamToken : settings.upstreamToken,
  };
}

/** Does it again while it fails for reasons that pass. Throws any other, and the last one when the program stops. */
export async function persist<T>(work: () => Promise<T>, frame: Frame, observer: Observer): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const done = await work();
      observer.trouble('start', undefined);
      return done;
    } catch (error) {
      if (!isTransient(error) || frame.stopping.aborted) throw error;
      observer.trouble('start', error);
      await pause(backoffMs(attempt, retry), frame.stopping);
      if (frame.stopping.aborted)
        throw new GatewayError('STOPPED', `stopped while waiting: ${describeError(error)}`, { cause: error });
    }
  }
}
