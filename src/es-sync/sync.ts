import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Watcher } from '../es-watcher/watcher.ts';
import { EsWriter } from '../es-writer/writer.ts';
import { connectNats } from '../jetstream/index.ts';
import { EmbeddedServer, freePort } from '../nats-gateway/embedded.ts';
import type { Probes } from '../service/admin.ts';
import type { Frame } from '../service/run.ts';
import type { SyncSettings } from './config.ts';
import { halvesOf } from './halves.ts';

/** Enough for what the server itself keeps in memory: changes are on disk. */
const memoryStoreBytes = 64 * 2 ** 20;

type Parts = { nats: EmbeddedServer; watcher: Watcher; writer: EsWriter };

/** `es-sync run` at work: a NATS server as a child, and the two halves on it. */
export class Sync {
  readonly #parts: Parts;

  /** Throws what either half throws at its start, NATS_*, STORE_*, and UsageError for the file's sections of the halves. */
  static async open(settings: SyncSettings, frame: Frame): Promise<Sync> {
    const { log, metrics, stopping } = frame;
    const token = settings.natsToken ?? randomBytes(24).toString('hex');
    const nats = await EmbeddedServer.open(await serverSettings(settings, token), log);
    try {
      const meeting = { natsUrl: nats.url, natsToken: token };
      const halves = await halvesOf(settings, meeting);
      await nats.start(stopping);
      await nats.firstReady(answers(meeting.natsUrl, token, stopping));
      const watcher = await Watcher.open(halves.watcher, log.child({ half: 'es-watcher' }), metrics.of('es-watcher'));
      const opening = EsWriter.open(halves.writer, log.child({ half: 'es-writer' }), metrics.of('es-writer'));
      const writer = await opening.catch(async (error: unknown) => {
        await endOf(watcher);
        throw error;
      });
      return new Sync({ nats, watcher, writer });
    } catch (error) {
      await nats.stop();
      throw error;
    }
  }

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Until `stop()`; throws what either half cannot go on from. Ends in the order of the changes: watcher, writer, server. */
  async run(): Promise<void> {
    const { nats, watcher, writer } = this.#parts;
    const watching = watcher.run();
    const writing = writer.run();
    try {
      await Promise.race([watching, writing]);
    } finally {
      await watcher.stop();
      await Promise.allSettled([watching]);
      await writer.stop();
      await Promise.allSettled([writing]);
      await nats.stop();
    }
  }

  /** `run` ends then: the end of the watcher is the beginning of that. */
  async stop(): Promise<void> {
    await this.#parts.watcher.stop();
  }

  get probes(): Probes {
    const { nats, watcher, writer } = this.#parts;
    const halves = Object.entries({ 'es-watcher': watcher.probes, 'es-writer': writer.probes });
    return {
      live: () => [],
      ready: () => [
        ...(nats.state.is === 'running' ? [] : [`the NATS server is ${nats.state.is}: ${nats.state.lastExit ?? 'see the log'}`]),
        ...halves.flatMap(([name, probes]) => probes.ready().map((reason) => `${name}: ${reason}`)),
      ],
      stats: () => ({ nats: nats.state, ...Object.fromEntries(halves.map(([name, probes]) => [name, probes.stats()])) }),
    };
  }
}

async function serverSettings(settings: SyncSettings, token: string): Promise<Parameters<typeof EmbeddedServer.open>[0]> {
  const { natsListen, natsBinary, dataDir, jsMaxFile, natsSync } = settings;
  const listen = natsListen === 'off' ? { host: '127.0.0.1', port: 0 } : natsListen;
  return {
    binary: natsBinary,
    listen: listen.port === 0 ? { ...listen, port: await freePort(listen.host) } : listen,
    storeDir: join(dataDir, 'jetstream'),
    maxMemoryBytes: memoryStoreBytes,
    maxFileBytes: jsMaxFile,
    sync: natsSync,
    tls: undefined,
    user: undefined,
    password: undefined,
    token,
  };
}

/** Returns once JetStream answers. */
async function answers(url: string, token: string, signal: AbortSignal): Promise<void> {
  const link = await connectNats({ urls: [url], name: 'es-sync', token }, { waitOnFirstConnect: true, signal });
  await link.close();
}

/** A watcher that is open and not to be run: running is how it closes what it has opened. */
async function endOf(watcher: Watcher): Promise<void> {
  await watcher.stop();
  await watcher.run();
}
