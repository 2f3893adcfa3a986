import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { killAtEnd, spareAtEnd } from '../../scripts/servers/watchdog.ts';
import { Hopeless, until } from './until.ts';

export type ProgramName = 'es-watcher' | 'es-writer' | 'nats-gateway' | 'nats3' | 'es-sync';
export type LogLine = { level: string; msg: string; code?: string; [key: string]: unknown };
export type ProgramOptions = {
  flags: readonly string[];
  /** All output of all its runs goes there too. */
  logFile: string;
  env?: Readonly<Record<string, string>>;
  /** A command that the program is run by, and which becomes it by `exec`. */
  launcher?: readonly string[];
  /** Instead of the launcher in bin/ that has the program's name. */
  executable?: string;
  /** What stands before the flags. */
  command?: readonly string[];
};
export type Exit = { code: number | null; signal: NodeJS.Signals | null };

const readyWithinMs = 60_000;
const stopWithinMs = 40_000;

/** One of the product's programs as a child process, which may be killed and started again. Its admin server has a new port each time. */
export class Program {
  readonly name: ProgramName;
  readonly #options: ProgramOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<Exit> | undefined;
  #address: string | undefined;
  #peakBytes = 0;
  /** Of the current run, or the last. */
  output = '';
  /** Lines of level error and fatal, of all runs. */
  readonly complaints: LogLine[] = [];
  starts = 0;

  constructor(name: ProgramName, options: ProgramOptions) {
    this.name = name;
    this.#options = options;
  }

  /** Starts it and returns at once. */
  start(extraFlags: readonly string[] = []): void {
    if (this.isRunning()) throw new Error(`${this.name} runs already`);
    const own = fileURLToPath(new URL(`../../bin/${this.name}`, import.meta.url));
    const { launcher = [], executable = own, command = [], flags } = this.#options;
    const listen = this.name === 'nats3' ? ['server', '--listen', '127.0.0.1:0'] : ['--admin-listen', '127.0.0.1:0'];
    const words = [...launcher, executable, ...command, ...listen, ...flags, ...extraFlags];
    // A process group of its own, so that it ends with the test however that ends.
    const child = spawn(words[0]!, words.slice(1), {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...withoutSettings(process.env), ...this.#options.env },
    });
    this.starts++;
    this.#child = child;
    this.#address = undefined;
    this.output = '';
    if (child.pid !== undefined) killAtEnd(child.pid);
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        this.output += chunk;
        appendFileSync(this.#options.logFile, chunk);
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.#take(line);
      });
    }
    this.#ended = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  }

  /** Starts it and waits until it says that it can do its work. */
  async startReady(extraFlags: readonly string[] = []): Promise<void> {
    this.start(extraFlags);
    await this.ready();
  }

  async ready(withinMs = readyWithinMs): Promise<void> {
    await until(`${this.name} to be ready`, async () => (await this.get('/health/ready')).status === 200, { withinMs }).catch(
      (error: unknown) => {
        throw new Error(`${(error as Error).message}\n${this.tail()}`);
      },
    );
  }

  /** 0 before the first start. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Exit code and signal, once it has ended by itself. */
  async ended(withinMs = stopWithinMs): Promise<Exit> {
    const child = this.#child;
    const deadline = setTimeout(() => {
      if (child?.exitCode === null) process.kill(child.pid!, 'SIGKILL');
    }, withinMs);
    const exit = await this.#ended!;
    clearTimeout(deadline);
    spareAtEnd(child!.pid!);
    return exit;
  }

  /** Ends it at once, as a power cut would. */
  async kill(): Promise<void> {
    await this.#signal('SIGKILL');
  }

  /** Asks it to drain; the exit should be 0. */
  async stop(): Promise<Exit> {
    return this.#signal('SIGTERM');
  }

  /** Sends a signal that does not end it, such as SIGSTOP. */
  signal(signal: NodeJS.Signals): void {
    if (this.isRunning()) process.kill(this.#child!.pid!, signal);
  }

  /** An answer of the admin server. Rejects while nobody listens. */
  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; body: string }> {
    return this.#ask('GET', path, headers);
  }

  /** As `get`, for what changes something. */
  async post(path: string, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; body: string }> {
    return this.#ask('POST', path, headers);
  }

  async #ask(method: string, path: string, headers: Readonly<Record<string, string>>): Promise<{ status: number; body: string }> {
    if (this.#child !== undefined && !this.isRunning()) throw new Hopeless(`${this.name} has ended\n${this.tail()}`);
    if (this.#address === undefined) throw new Error('the admin server has not said its address');
    const answer = await fetch(`http://${this.#address.replace('0.0.0.0', '127.0.0.1')}${path}`, {
      method,
      headers,
      signal: AbortSignal.timeout(5_000),
    });
    return { status: answer.status, body: await answer.text() };
  }

  /** Sum of all series of a metric, whose program prefix is left out: `lag_operations`. */
  async metric(name: string): Promise<number> {
    const { body } = await this.get('/metrics');
    const prefixes = this.name === 'es-sync' ? 'es_(?:sync|watcher|writer)' : this.name.replace('-', '_');
    return sumOfMetric(body, `${prefixes}_${name}`);
  }

  /** Most memory that any run has held, in bytes, as far as it was looked at: call before it ends. Linux only, else 0. */
  peakMemory(): number {
    const status = `/proc/${this.#child?.pid ?? 0}/status`;
    const kilobytes = existsSync(status) ? /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(status, 'utf8'))?.[1] : undefined;
    this.#peakBytes = Math.max(this.#peakBytes, Number(kilobytes ?? 0) * 1024);
    return this.#peakBytes;
  }

  /** Of the admin server of the current run, once it has said it. */
  get address(): string {
    return this.#address ?? '';
  }

  logs(): LogLine[] {
    return this.output.split('\n').flatMap((line) => parseLine(line) ?? []);
  }

  tail(lines = 30): string {
    return `--- ${this.name}, last of ${this.#options.logFile}\n${this.output.trimEnd().split('\n').slice(-lines).join('\n')}`;
  }

  async #signal(signal: NodeJS.Signals): Promise<Exit> {
    this.peakMemory();
    this.signal(signal);
    return this.ended();
  }

  #take(line: string): void {
    const parsed = parseLine(line);
    if (parsed === undefined) return;
    if (parsed.msg === 'admin server listens') this.#address = String(parsed['address']);
    if (parsed.level === 'error' || parsed.level === 'fatal') this.complaints.push(parsed);
  }
}

/** Of all series of a metric, named by a regular expression, in what `/metrics` answers; 0 of none. */
export function sumOfMetric(text: string, name: string): number {
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^\\n]*\\})? (\\S+)$`, 'gm'))].map(([, value]) => Number(value));
  return values.reduce((sum, value) => sum + value, 0);
}

function parseLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return undefined;
  }
}

/** The tests' own environment must not configure the programs. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'XDG_CACHE_HOME', 'ES_SYNC_CACHE', 'NODE_OPTIONS', 'NODE_V8_COVERAGE'];
  return Object.fromEntries(kept.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
