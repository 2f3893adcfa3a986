import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killAtEnd, spareAtEnd } from './watchdog.ts';

/** How a server is run, and how it is known to be ready. */
export type ServerPlan = {
  /** for messages: "Elasticsearch 8.19.13" */
  name: string;
  version: string;
  url: string;
  port: number;
  dataDir: string;
  logFile: string;
  program: string;
  args: string[];
  cwd?: string;
  env?: Record<string, string | undefined>;
  /** set where the program is only a launcher that ends once the server runs: the file in which the server leaves its process id */
  pidFile?: string;
  /** true: the server stays when this process ends, and the caller looks after it */
  stays?: boolean;
  /** asked until it says true; it may throw while nobody listens yet */
  ready: () => Promise<boolean>;
  /** Default three minutes. */
  readyWithinMs?: number;
};

const READY_WITHIN_MS = 180_000;
const GONE_WITHIN_MS = 60_000;
const LAUNCHED = 'launched, then gone';

/** A real server as a process of its own process group, which ends with us unless the plan says otherwise. */
export class Server {
  readonly name: string;
  readonly version: string;
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly logFile: string;
  readonly #plan: ServerPlan;
  #group = 0;
  #pid = 0;
  #exit: string | undefined = 'not started';

  private constructor(plan: ServerPlan) {
    this.#plan = plan;
    this.name = plan.name;
    this.version = plan.version;
    this.url = plan.url;
    this.port = plan.port;
    this.dataDir = plan.dataDir;
    this.logFile = plan.logFile;
  }

  /** Starts a server and returns once it is ready; what it wrote last is part of the error when it does not get there. */
  static async start(plan: ServerPlan): Promise<Server> {
    const server = new Server(plan);
    server.#spawn();
    await server.waitReady();
    return server;
  }

  /** Process id of the server itself; 0 before a launcher has started it. */
  get pid(): number {
    return this.#pid;
  }

  /** Number of the process group, launcher included: what `process.kill(-group)` takes. */
  get group(): number {
    return this.#group;
  }

  /** Resolves when the server does its work; rejects when it ends first or takes longer than the plan allows. */
  async waitReady(): Promise<void> {
    const withinMs = this.#plan.readyWithinMs ?? READY_WITHIN_MS;
    const deadline = Date.now() + withinMs;
    while (this.#pid === 0 || !(await this.#plan.ready().catch(() => false))) {
      if (!this.isRunning()) throw new Error(`${this.name} ended while starting (${this.#exit ?? 'gone'})\n${this.logTail()}`);
      if (Date.now() > deadline) throw new Error(`${this.name} is not ready after ${withinMs / 1000} s\n${this.logTail()}`);
      await sleep(50);
    }
  }

  isRunning(): boolean {
    if (this.#exit === undefined) return true;
    return this.#exit === LAUNCHED && isAlive(this.#pid);
  }

  /** Sends a signal to the server, and for one that ends it (SIGKILL by default) waits until it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.isRunning()) return;
    process.kill(-this.#group, signal);
    if (signal !== 'SIGKILL' && signal !== 'SIGTERM' && signal !== 'SIGINT') return;
    const deadline = Date.now() + GONE_WITHIN_MS;
    while (this.isRunning()) {
      if (Date.now() > deadline) throw new Error(`${this.name} is still there ${GONE_WITHIN_MS / 1000} s after ${signal}`);
      await sleep(10);
    }
    spareAtEnd(this.#group);
  }

  /** Asks the server to end, and makes it end when it does not. Its files stay. */
  async stop(): Promise<void> {
    await this.kill('SIGTERM').catch(() => this.kill('SIGKILL'));
  }

  /** Runs the server again on the same port and files, ended or not (then by SIGKILL), and waits until it is ready. */
  async restart(): Promise<void> {
    await this.kill('SIGKILL');
    this.#spawn();
    await this.waitReady();
  }

  /** The last lines of the server's own output. */
  logTail(lines = 25): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n') : '';
  }

  #spawn(): void {
    const { program, args, cwd, env, pidFile, stays } = this.#plan;
    mkdirSync(dirname(this.logFile), { recursive: true });
    if (pidFile !== undefined) rmSync(pidFile, { force: true });
    const log = openSync(this.logFile, 'a');
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    child.unref();
    this.#exit = undefined;
    this.#group = child.pid ?? 0;
    this.#pid = pidFile === undefined ? this.#group : 0;
    if (child.pid !== undefined && stays !== true) killAtEnd(child.pid);
    child.once('error', (error) => (this.#exit = error.message));
    child.once('exit', (code, signal) => {
      const launched = pidFile !== undefined && code === 0 && existsSync(pidFile);
      if (launched) this.#pid = Number(readFileSync(pidFile, 'utf8'));
      this.#exit = launched ? LAUNCHED : `exit ${code ?? signal}`;
    });
  }
}

/** Whether a process, which need not be our child, lives; one that only waits to be collected by its parent does not. */
export function isAlive(pid: number): boolean {
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  if (process.platform !== 'linux' || !existsSync(stat)) return true;
  try {
    return !/\) [ZX] /.test(readFileSync(stat, 'latin1'));
  } catch {
    return false;
  }
}
