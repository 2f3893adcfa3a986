import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { GatewayError } from '../core/errors.ts';
import type { Probes } from './admin.ts';
import type { commonSettings, programSettings } from './common-settings.ts';
import { readInvocation } from './config.ts';
import type { Origin, Resolved } from './resolve.ts';
import { exitCodeOf, failureText, logFailure } from './failure.ts';
import { keepHeapSmall } from './heap.ts';
import type { ListenAddress } from './kinds.ts';
import type { Log } from './log.ts';
import { Metrics } from './metrics.ts';
import type { Schema, Settings, SettingsOf } from './settings.ts';
import { firstSignal, type StopSignal } from './signals.ts';
import { formatDuration } from './units.ts';
import { productVersion } from './version.ts';

/** What a program is given besides its settings. */
export type Frame = {
  readonly version: string;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Where each setting came from, by its name. */
  readonly origins: Readonly<Record<string, Origin>>;
  /** Aborted by the first signal: ends what `start` waits for. */
  readonly stopping: AbortSignal;
  /** Hands in what /health and /stats answer from now on. Until then a program is live and not ready: it is starting. */
  report(probes: Partial<Probes>): void;
};

/** A program at work. */
export type Running = {
  /** Finishes what is under way and takes nothing new. */
  stop(): Promise<void>;
  /** Resolves when there is nothing left to do, rejects when the work cannot go on. */
  done: Promise<void>;
};

export type CheckReport = { ok: boolean; lines: readonly string[] };

type AdminListen = Pick<ReturnType<typeof commonSettings>, 'adminListen'>;
/** `listen` is the admin server's address in a program that is an HTTP server before all. */
type CommonSettings = typeof programSettings & (AdminListen | { listen: AdminListen['adminListen'] });
/** `adminDisabled` is another way to say that `adminListen` is off, for a program that has it. */
type CommonValues = SettingsOf<typeof programSettings> & {
  adminListen?: ListenAddress;
  listen?: ListenAddress;
  adminDisabled?: boolean;
};

export type Program<S extends Settings & CommonSettings> = {
  schema: Schema<S>;
  /** See `keepHeapSmall`. */
  heapGrowthPercent?: number;
  /** Import what is heavy in here, so that `--help` and `--version` need not wait for it. */
  start(settings: SettingsOf<S>, frame: Frame): Promise<Running>;
  /** `--check`: looks, changes nothing. */
  check?(settings: SettingsOf<S>, frame: Frame): Promise<CheckReport>;
  /** Adds to the admin server, before its own routes. Called beside `start`, which may not be done then. */
  routes?(app: FastifyInstance, settings: SettingsOf<S>, frame: Frame): void;
};

/** Runs a program from command line to exit code: 0 done or drained, 1 failed, 2 wrong usage, 128 + n at a second signal. */
export async function runProgram<S extends Settings & CommonSettings>(
  program: Program<S>,
  argv: readonly string[] = process.argv.slice(2),
): Promise<void> {
  const name = program.schema.program;
  let secrets: readonly string[] = [];
  let log: Log | undefined;
  try {
    const version = productVersion();
    const invocation = await readInvocation(program.schema, argv, process.env, version);
    if (invocation.is === 'text') {
      process.stdout.write(invocation.text);
      return;
    }
    secrets = invocation.secrets;
    const common = invocation.values as unknown as CommonValues;
    if (common.probe !== undefined) {
      const { probe } = await import('./probe.ts');
      const { ok, answer } = await probe(common.probe, common.listen ?? common.adminListen ?? 'off');
      process.stdout.write(`${answer}\n`);
      process.exitCode = ok ? 0 : 1;
      return;
    }
    const checking = common.check && program.check !== undefined;
    const { createLog } = await import('./log.ts');
    const made = await createLog({
      program: name,
      level: common.logLevel,
      format: common.logFormat,
      secrets,
      descriptor: checking ? 2 : 1,
    });
    log = made;
    process.on('uncaughtException', (error) => {
      logFailure(made, error);
      process.exit(1);
    });
    const run = new Run(program, invocation, common, version, made);
    process.exit(await (checking ? run.check() : run.serve()));
  } catch (error) {
    // A start-up error has somebody waiting for it at a prompt; one that nobody foresaw is for the log.
    if (log !== undefined && !(error instanceof GatewayError)) logFailure(log, error);
    else process.stderr.write(failureText(name, error, secrets));
    process.exit(exitCodeOf(error));
  }
}

class Run<S extends Settings & CommonSettings> {
  readonly #program: Program<S>;
  readonly #settings: SettingsOf<S>;
  readonly #common: CommonValues;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  readonly #frame: Frame;
  #probes: Probes = { live: () => [], ready: () => ['starting'], stats: () => ({}) };

  constructor(program: Program<S>, { values, origins }: Resolved<S>, common: CommonValues, version: string, log: Log) {
    this.#program = program;
    this.#settings = values;
    this.#common = common;
    this.#log = log;
    this.#frame = {
      version,
      log,
      metrics: new Metrics(program.schema.program),
      origins,
      stopping: this.#stopping.signal,
      report: (probes) => (this.#probes = { ...this.#probes, ...probes }),
    };
  }

  async check(): Promise<number> {
    const report = await this.#program.check!(this.#settings, this.#frame);
    process.stdout.write(report.lines.map((line) => `${line}\n`).join(''));
    return report.ok ? 0 : 1;
  }

  /** Returns the exit code. Throws what goes wrong before the program has started. */
  async serve(): Promise<number> {
    keepHeapSmall(this.#program.heapGrowthPercent);
    // A program that waits for a peer, without an admin server, may have nothing open: Node would take it for finished.
    setInterval(() => undefined, 2 ** 30);
    const signal = firstSignal(this.#stopping, (second) => this.#log.warn({ signal: second }, 'second signal: exiting at once'));
    const started = this.#program.start(this.#settings, this.#frame);
    const admin = this.#startAdmin();
    const running = await Promise.race([Promise.all([started, admin]).then(([first]) => first), signal]);
    return typeof running === 'string' ? this.#drain(running, started) : this.#work(running, signal);
  }

  async #work(running: Running, signal: Promise<StopSignal>): Promise<number> {
    try {
      const ended = await Promise.race([running.done, signal]);
      if (typeof ended === 'string') return await this.#drain(ended, Promise.resolve(running));
      this.#log.info('finished');
      return 0;
    } catch (error) {
      logFailure(this.#log, error);
      return 1;
    }
  }

  /** Acknowledged is what is durable, so a drain that takes too long may be cut off: it costs repeats only. */
  async #drain(signal: StopSignal, started: Promise<Running>): Promise<number> {
    const { drainTimeout } = this.#common;
    this.#log.info({ signal }, 'stopping: finishing what is under way');
    try {
      const end = await Promise.race([this.#stopped(started), wait(drainTimeout, 'late')]);
      if (end === 'stopped') {
        this.#log.info('stopped');
        return 0;
      }
      this.#log.fatal(
        `not finished within --drain-timeout ${formatDuration(drainTimeout)}: exiting; what is not acknowledged comes again`,
      );
    } catch (error) {
      logFailure(this.#log, error);
    }
    return 1;
  }

  async #stopped(started: Promise<Running>): Promise<'stopped'> {
    // A start that the signal cut short has nothing to finish, and its complaint about that is no failure.
    const running = await started.catch(() => undefined);
    await running?.stop();
    await running?.done;
    return 'stopped';
  }

  /** Beside the start, whose first connections are under way by now: loading the HTTP server fills the wait for their answers. */
  async #startAdmin(): Promise<void> {
    const listen = this.#common.listen ?? this.#common.adminListen;
    if (listen === undefined || listen === 'off' || this.#common.adminDisabled === true) return;
    await turn();
    const { startAdmin } = await import('./admin.ts');
    const probes: Probes = {
      live: () => this.#probes.live(),
      ready: () => (this.#stopping.signal.aborted ? ['stopping'] : this.#probes.ready()),
      stats: () => this.#probes.stats(),
    };
    const { metrics, version } = this.#frame;
    const { address } = await startAdmin({
      program: this.#program.schema.program,
      version,
      listen,
      probes,
      metrics,
      routes: (app) => this.#program.routes?.(app, this.#settings, this.#frame),
    });
    this.#log.info({ address }, 'admin server listens');
    await metrics.start();
  }
}
