import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { backoffMs, pause } from '../core/backoff.ts';
import { GatewayError } from '../core/errors.ts';
import type { Log } from '../service/log.ts';
import { configFileOf, embeddedConfig, type EmbeddedSettings, pidFileOf, readServerLine } from './embedded-config.ts';
import { endLeftover, lockStore, readPid, signalProcess, type StoreLock } from './store-lock.ts';

const restart = { minMs: 200, maxMs: 10_000 };
/** A server that has run for so long starts the count of failures anew. */
const steadyAfterMs = 30_000;
const stopWithinMs = 10_000;
const readyWithinMs = 5_000;
const linesKept = 20;
/** The last line of the server's start. */
const readyLine = 'Server is ready';

/**
 * Runs the server and ends it when our end of the pipe on its input closes, which happens however the gateway ends, SIGKILL included. The
 * server has no other way to know: it is not told that its parent is gone.
 */
const shell = '/bin/sh';
const script = `
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{
  read -r _ <&3
  kill -TERM "$server" 2>/dev/null
  waited=0
  while [ "$waited" -lt 10 ] && kill -0 "$server" 2>/dev/null; do sleep 1; waited=$((waited + 1)); done
  kill -KILL "$server" 2>/dev/null
} >/dev/null 2>&1 &
guard=$!
exec 3<&-
wait "$server"
code=$?
kill "$guard" 2>/dev/null
exit "$code"
`;

export type EmbeddedState = {
  is: 'running' | 'restarting' | 'stopped';
  pid: number | undefined;
  restarts: number;
  lastExit: string | undefined;
};

/** The NATS server as a child: run, watched, started again when it ends, and never left behind. */
export class EmbeddedServer {
  readonly #settings: EmbeddedSettings;
  readonly #log: Log;
  readonly #lock: StoreLock;
  readonly #stopping = new AbortController();
  readonly #lines: string[] = [];
  #ready = Promise.withResolvers<void>();
  #child: ChildProcess | undefined;
  #ended: Promise<string> = Promise.resolve('');
  #watching: Promise<void> = Promise.resolve();
  #restarts = 0;
  #lastExit: string | undefined;

  /**
   * Starts it; it may not answer yet. Throws NATS_BINARY_MISSING, STORE_IN_USE, STORE_UNWRITABLE.
   */
  static async open(settings: EmbeddedSettings, log: Log): Promise<EmbeddedServer> {
    const binary = findBinary(settings.binary, process.env['PATH'] ?? '');
    const lock = lockStore(settings.storeDir);
    try {
      const leftover = await endLeftover(settings.storeDir);
      if (leftover !== undefined) log.warn({ pid: leftover }, 'ended a NATS server that an earlier gateway left on the store');
      return new EmbeddedServer({ ...settings, binary }, log, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  private constructor(settings: EmbeddedSettings, log: Log, lock: StoreLock) {
    this.#settings = settings;
    this.#log = log.child({ component: 'nats-server' });
    this.#lock = lock;
  }

  /** Runs it on another address than its clients know, so that nobody comes before `prepare` is done; ends it then. */
  async prepare(work: (url: string) => Promise<void>): Promise<void> {
    const port = await freePort('127.0.0.1');
    this.#spawn({ ...this.#settings, listen: { host: '127.0.0.1', port } });
    const failed = this.#ended.then((exit) => {
      throw this.#failure(exit);
    });
    failed.catch(() => undefined);
    try {
      await Promise.race([work(this.#url(port)), failed]);
    } finally {
      await this.#end();
    }
  }

  /** Starts it for good, and waits until it takes clients. Throws NATS_LISTEN_FAILED where another program has its address: clients would be taken for ours there. */
  async start(stopping: AbortSignal): Promise<void> {
    const { host, port } = this.#settings.listen;
    await bind(host, port).catch((cause: unknown) => {
      throw new GatewayError(
        'NATS_LISTEN_FAILED',
        `the embedded NATS server cannot listen on ${host}:${port}: ${String(cause)}`,
        {
          hint: 'stop what listens there, or choose another --nats-listen (NATS_LISTEN)',
          cause,
        },
      );
    });
    this.#ready = Promise.withResolvers();
    this.#spawn(this.#settings);
    this.#watching = this.#watch();
    // Where it ends or takes long, whoever connects to it waits and tells.
    await Promise.race([this.#ready.promise, this.#ended, pause(readyWithinMs, stopping)]);
  }

  /** Where the gateway itself reaches it. */
  get url(): string {
    return this.#url(this.#settings.listen.port);
  }

  #url(port: number): string {
    const { host } = this.#settings.listen;
    const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    return `${this.#settings.tls === undefined ? 'nats' : 'tls'}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
  }

  /** Rejects with NATS_SERVER_FAILED, and what the server said last, if it ends before `ready` is done. */
  async firstReady<T>(ready: Promise<T>): Promise<T> {
    const failed = this.#ended.then((exit) => {
      throw this.#failure(exit);
    });
    failed.catch(() => undefined);
    return Promise.race([ready, failed]);
  }

  get state(): EmbeddedState {
    const running = this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
    const is = this.#stopping.signal.aborted ? 'stopped' : running ? 'running' : 'restarting';
    return {
      is,
      pid: running ? readPid(pidFileOf(this.#settings.storeDir)) : undefined,
      restarts: this.#restarts,
      lastExit: this.#lastExit,
    };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#end();
    await this.#watching;
    this.#lock.release();
  }

  #failure(exit: string): GatewayError {
    const { host, port } = this.#settings.listen;
    return new GatewayError(
      'NATS_SERVER_FAILED',
      `the embedded NATS server ended at its start (${exit}): ${this.#lines.slice(-3).join(' | ')}`,
      {
        hint: `is ${host}:${port} (--nats-listen) free, and ${this.#settings.storeDir} (--store-dir) sound?`,
      },
    );
  }

  #spawn(settings: EmbeddedSettings): void {
    writeFileSync(configFileOf(settings.storeDir), embeddedConfig(settings), { mode: 0o600 });
    const server = [settings.binary, '-c', configFileOf(settings.storeDir)];
    // An image without a shell has nobody but us to be outlived: we are its first process, and the kernel ends the others with it.
    const words = existsSync(shell) ? [shell, '-c', script, 'nats-server', ...server] : server;
    // A session of its own: Ctrl-C at a terminal must not end the server before the gateway has drained.
    const child = spawn(words[0]!, words.slice(1), { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    child.stdin.on('error', () => undefined);
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.#take(line);
      });
    }
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
  }

  #take(line: string): void {
    const read = readServerLine(line);
    if (line.trim() === '') return;
    this.#lines.push(read?.text ?? line);
    if (this.#lines.length > linesKept) this.#lines.shift();
    if (read?.text === readyLine) this.#ready.resolve();
    // The server's banner and addresses are nothing that an operator of the gateway waits for.
    const level = read === undefined || read.level === 'info' ? 'debug' : read.level === 'fatal' ? 'error' : read.level;
    this.#log[level](read?.text ?? line);
  }

  async #watch(): Promise<void> {
    let failures = 0;
    let startedAt = Date.now();
    for (;;) {
      const exit = await this.#ended;
      if (this.#stopping.signal.aborted) return;
      this.#lastExit = exit;
      failures = Date.now() - startedAt > steadyAfterMs ? 1 : failures + 1;
      const waitMs = backoffMs(failures, restart);
      this.#log.warn({ exit, waitMs, last: this.#lines.slice(-3) }, 'the NATS server has ended; starting it again');
      await pause(waitMs, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      // The shell around it may have been killed alone.
      await endLeftover(this.#settings.storeDir);
      this.#restarts++;
      startedAt = Date.now();
      this.#spawn(this.#settings);
    }
  }

  async #end(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.stdin?.end();
    if (!existsSync(shell)) child.kill('SIGTERM');
    const late = setTimeout(() => {
      const pid = readPid(pidFileOf(this.#settings.storeDir));
      if (pid !== undefined) signalProcess(pid, 'SIGKILL');
    }, stopWithinMs);
    await this.#ended;
    clearTimeout(late);
  }
}

/** The program at the path, or else `nats-server` beside our own executable or on the search path. Throws NATS_BINARY_MISSING. */
export function findBinary(path: string, searchPath: string): string {
  const directories = [dirname(process.execPath), ...searchPath.split(delimiter).filter(isAbsolute)];
  const places = [path, ...directories.map((directory) => join(directory, 'nats-server'))];
  for (const place of places) {
    try {
      accessSync(place, constants.X_OK);
      return place;
    } catch {
      // The next place.
    }
  }
  throw new GatewayError('NATS_BINARY_MISSING', `there is no nats-server at ${path}, beside this program, nor on PATH`, {
    hint:
      'install it (packages nats-server of Debian, Alpine and Homebrew; go install github.com/nats-io/nats-server/v2@latest; releases at' +
      ' github.com/nats-io/nats-server), or set --nats-binary (NATS_BINARY) to where it is',
  });
}

/** A port that nobody listens on now. */
export function freePort(host: string): Promise<number> {
  return bind(host, 0);
}

/** Takes an address for a moment; answers the port. */
async function bind(host: string, port: number): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
