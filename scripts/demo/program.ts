import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { killAtEnd, spareAtEnd } from '../servers/watchdog.ts';
import { until } from './until.ts';

export type ProgramOptions = {
  name: 'es-watcher' | 'es-writer' | 'es-sync';
  /** Instead of the launcher in bin/. */
  executable?: string;
  /** What stands before the flags. */
  command?: readonly string[];
  flags: readonly string[];
  logFile: string;
  env?: Readonly<Record<string, string>>;
};

/** `bin/es-watcher` or `bin/es-writer` as a child process, which may be killed and started again. */
export class Program {
  readonly #options: ProgramOptions;
  #child: ChildProcess | undefined;
  #logFrom = 0;
  #address: string | undefined;

  constructor(options: ProgramOptions) {
    this.#options = options;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Where its admin server listens. */
  get address(): string {
    return this.#address ?? '';
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts it and returns once it says that it can do its work; the ms that took. */
  async start(): Promise<number> {
    const { name, executable, command = [], flags, logFile, env } = this.#options;
    const startedAt = performance.now();
    const launcher = executable ?? fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));
    const log = openSync(logFile, 'a');
    this.#logFrom = statSync(logFile).size;
    this.#address = undefined;
    // A process group of its own: Ctrl-C is ours to handle, and the watchdog ends it with us.
    const child = spawn(launcher, [...command, '--admin-listen', '127.0.0.1:0', '--log-format', 'json', ...flags], {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...withoutSettings(process.env), ...env },
    });
    closeSync(log);
    this.#child = child;
    if (child.pid !== undefined) killAtEnd(child.pid);
    child.once('exit', () => spareAtEnd(child.pid!));
    child.unref();
    await until(`${name} to be ready`, () => this.#isReady(), { everyMs: 20 });
    return performance.now() - startedAt;
  }

  /** Figures of the admin server's /stats; undefined while it does not answer. */
  async stats<Stats>(): Promise<Stats | undefined> {
    const address = this.#address ?? this.#readAddress();
    if (address === undefined) return undefined;
    const answer = await fetch(`http://${address}/stats`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    return answer?.ok === true ? ((await answer.json()) as Stats) : undefined;
  }

  /** SIGKILL ends it as a power cut would; SIGTERM asks it to drain. Resolves when it is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.isRunning) return;
    child.ref();
    const exit = once(child, 'exit');
    process.kill(child.pid!, signal);
    await exit;
    this.#address = undefined;
  }

  logTail(lines = 12): string {
    return readFileSync(this.#options.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  async #isReady(): Promise<boolean> {
    if (!this.isRunning) throw new Error(`${this.#options.name} ended while starting\n${this.logTail()}`);
    this.#address ??= this.#readAddress();
    if (this.#address === undefined) return false;
    const answer = await fetch(`http://${this.#address}/health/ready`).catch(() => undefined);
    return answer?.status === 200;
  }

  /** The address stands in a line of this run's log. */
  #readAddress(): string | undefined {
    const text = readFileSync(this.#options.logFile).toString('utf8', this.#logFrom);
    return /"address":"([^"]+)","msg":"admin server listens"/.exec(text)?.[1];
  }
}

/** The caller's own settings of the programs must not reach them. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'XDG_CACHE_HOME', 'ES_SYNC_CACHE'];
  return Object.fromEntries(kept.map((name) => [name, env[name]]));
}
