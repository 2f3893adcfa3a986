import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { install } from '../provision/cache.ts';
import { NATS_VERSION, natsRecipe } from '../provision/nats.ts';
import { freePort } from './ports.ts';
import { Server } from './process.ts';

export type NatsOptions = {
  /** JetStream's files, the configuration and the log; kept across restarts */
  storeDir: string;
  /** undefined or 0: a free one */
  port?: number | undefined;
  jetstream?: { maxFileBytes?: number };
  /** further lines for the server's configuration file */
  config?: string;
  stays?: boolean;
};

/** Starts a nats-server with JetStream on the loopback interface. */
export async function startNats(options: NatsOptions): Promise<Server> {
  const home = await install(natsRecipe);
  const dataDir = resolve(options.storeDir);
  const port = options.port || (await freePort());
  mkdirSync(dataDir, { recursive: true });
  const configFile = join(dataDir, 'nats.conf');
  const limit = options.jetstream?.maxFileBytes;
  const lines = [
    `listen: "127.0.0.1:${port}"`,
    `jetstream { store_dir: ${JSON.stringify(dataDir)}${limit === undefined ? '' : `, max_file_store: ${limit}`} }`,
    options.config ?? '',
  ];
  writeFileSync(configFile, `${lines.join('\n')}\n`);
  return Server.start({
    name: `nats-server ${NATS_VERSION}`,
    version: NATS_VERSION,
    url: `nats://127.0.0.1:${port}`,
    port,
    dataDir,
    logFile: join(dataDir, 'nats.log'),
    program: join(home, 'nats-server'),
    args: ['-c', configFile],
    ready: () => greets(port),
    ...(options.stays === undefined ? {} : { stays: options.stays }),
  });
}

/** The greeting of a server that serves JetStream says so: `INFO {…,"jetstream":true,…}` is the first line of the client protocol. */
function greets(port: number): Promise<boolean> {
  const { promise, resolve: settle } = Promise.withResolvers<boolean>();
  const socket = connect({ port, host: '127.0.0.1' });
  let text = '';
  socket.setTimeout(2_000, () => socket.destroy());
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    if (text.includes('\r\n')) socket.destroy();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => settle(text.includes('"jetstream":true')));
  return promise;
}
