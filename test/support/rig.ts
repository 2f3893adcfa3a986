import { join } from 'node:path';
import { temporaryDirectory } from '../../scripts/servers.ts';
import { Cluster } from './cluster.ts';
import { compare, describeDifferences, isExact, type Comparison } from './compare.ts';
import { Program } from './programs.ts';
import type { Random } from './random.ts';
import { streamHistory } from './stream-history.ts';
import { Hopeless, until } from './until.ts';

export type RigOptions = {
  random: Random;
  /** The engine, and another way to it for the program, such as a proxy. */
  source: string | Cluster;
  target: string | Cluster;
  nats?: string;
  watcherSees?: { source?: string; nats?: string };
  writerSees?: { target?: string; nats?: string };
  /** Begins the names of this rig's indices, its stream and consumer. */
  prefix: string;
  patterns?: string;
  watcherFlags?: readonly string[];
  writerFlags?: readonly string[];
  watcherEnv?: Readonly<Record<string, string>>;
  writerEnv?: Readonly<Record<string, string>>;
  /** Instead of two programs and `nats`: one that does both, told where source, target and indices are. */
  together?: (flags: readonly string[], directory: string) => Program;
};

export type ExactOptions = {
  withinMs?: number;
  kept?: readonly string[];
  refreshSource?: boolean;
  /** The indices compared; default those of the prefix, backing indices of its data streams included. */
  pattern?: string;
};

/** At rest for so long and still different: it will not come. */
const hopelessAfterMs = 20_000;

/** A source, a target, and the two programs between them. */
export class Rig {
  readonly source: Cluster;
  readonly target: Cluster;
  readonly watcher: Program;
  readonly writer: Program;
  readonly directory: string;
  readonly prefix: string;
  readonly checkpointPath: string;
  readonly #seed: string;
  readonly #nats: string;
  readonly #programs: ReadonlySet<Program>;

  constructor(options: RigOptions) {
    const { prefix, nats = '' } = options;
    this.#seed = options.random.seed;
    this.#nats = nats;
    this.prefix = prefix;
    this.directory = temporaryDirectory('rig');
    this.checkpointPath = join(this.directory, 'checkpoint');
    this.source = asCluster(options.source);
    this.target = asCluster(options.target);
    const { watcherSees = {}, writerSees = {}, watcherFlags = [], writerFlags = [] } = options;
    const patterns = options.patterns ?? `${prefix}-*`;
    const watcher = {
      'es-hosts': watcherSees.source ?? this.source.url,
      'nats-url': watcherSees.nats ?? nats,
      stream: `${prefix}_CHANGES`,
      tenant: prefix,
      'index-patterns': patterns,
      'checkpoint-path': this.checkpointPath,
    };
    const writer = {
      'es-hosts': writerSees.target ?? this.target.url,
      'nats-url': writerSees.nats ?? nats,
      stream: `${prefix}_CHANGES`,
      consumer: `${prefix}_writer`,
      'dlq-stream': `${prefix}_DLQ`,
    };
    const both = { source: this.source.url, target: this.target.url, 'index-patterns': patterns };
    const together = options.together?.(asFlags(both), this.directory);
    this.watcher =
      together ??
      new Program('es-watcher', {
        logFile: join(this.directory, 'watcher.log'),
        flags: [...asFlags(watcher), ...watcherFlags],
        ...(options.watcherEnv === undefined ? {} : { env: options.watcherEnv }),
      });
    this.writer =
      together ??
      new Program('es-writer', {
        logFile: join(this.directory, 'writer.log'),
        flags: [...asFlags(writer), ...writerFlags],
        ...(options.writerEnv === undefined ? {} : { env: options.writerEnv }),
      });
    this.#programs = new Set([this.watcher, this.writer]);
  }

  async start(): Promise<void> {
    await Promise.all([...this.#programs].map((program) => program.startReady()));
  }

  /** Starts what has ended by itself, as a supervisor would. */
  revive(): void {
    for (const program of this.#programs) if (!program.isRunning()) program.start();
  }

  async ready(): Promise<void> {
    await Promise.all([...this.#programs].map((program) => program.ready()));
  }

  /** Everything that the source had has gone through, as far as the programs themselves know. */
  async atRest(): Promise<boolean> {
    const lag = [
      this.watcher.metric('lag_operations'),
      this.writer.metric('lag_messages'),
      this.writer.metric('inflight_frames'),
    ];
    return (await Promise.all(lag)).every((value) => value === 0);
  }

  /**
   * Waits until both sides hold the same documents, byte for byte, and still do once everything is at rest. Throws what differs, with
   * the seed, when that does not come in time, or not at all: at rest and still different.
   */
  async untilExact(options: ExactOptions = {}): Promise<Comparison> {
    const pattern = options.pattern ?? `${this.prefix}-*,.ds-${this.prefix}-*`;
    const withinMs = options.withinMs ?? 120_000;
    const look = (): Promise<Comparison> => compare(this.source, this.target, { ...options, pattern });
    let differentSince: number | undefined;
    const ask = async (): Promise<Comparison | undefined> => {
      // Comparing takes its time: not while it is known to be too early.
      if (!(await this.atRest())) {
        differentSince = undefined;
        return undefined;
      }
      const found = await look();
      if (isExact(found)) return (await this.atRest()) ? found : undefined;
      differentSince ??= Date.now();
      if (Date.now() - differentSince > hopelessAfterMs) throw new Hopeless('at rest and still different');
      return undefined;
    };
    try {
      return await until('rest, and the same documents on both sides', ask, { withinMs, everyMs: 200 });
    } catch (error) {
      const differences = await look().then((last) => this.#explain(last), String);
      throw new Error(`SEED=${this.#seed}: ${(error as Error).message}\n${differences}\n${this.tail()}`, { cause: error });
    }
  }

  /** Waits until one index is the same on both sides, whatever the others do. */
  async untilHolds(index: string, withinMs: number): Promise<void> {
    const holds = async (): Promise<boolean> => isExact(await compare(this.source, this.target, { pattern: index }));
    await until(`the same documents in ${index}`, holds, { withinMs, everyMs: 200 });
  }

  /** What differs, and what the stream says about the first few of those documents. */
  async #explain(comparison: Comparison): Promise<string> {
    const samples = comparison.indices.flatMap(({ index, samples }) => samples.map(({ id }) => ({ index, id })));
    const history = await streamHistory(this.#nats, `${this.prefix}_CHANGES`, samples).catch(String);
    return `${await describeDifferences(comparison, this.source, this.target)}\n--- in the stream\n${history}`;
  }

  /** Error lines other than those whose code is expected are a failure, even where the documents are right. */
  assertQuiet(expected: readonly string[] = []): void {
    const complaints = [...this.#programs].flatMap((program) => program.complaints);
    const unexpected = complaints.filter((line) => !expected.includes(line.code ?? ''));
    if (unexpected.length > 0)
      throw new Error(
        `unexpected log lines:\n${unexpected
          .slice(0, 10)
          .map((line) => JSON.stringify(line))
          .join('\n')}`,
      );
  }

  tail(): string {
    return [...this.#programs].map((program) => program.tail()).join('\n');
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#programs].map(async (program) => program.isRunning() && program.stop()));
  }

  /** Ends the connections to the clusters; the last call. */
  async close(): Promise<void> {
    await Promise.all([this.source.close(), this.target.close()]);
  }
}

function asCluster(given: string | Cluster): Cluster {
  return typeof given === 'string' ? new Cluster(given) : given;
}

function asFlags(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
}
