import { join } from 'node:path';
import { temporaryDirectory } from '../../scripts/servers.ts';
import { Cluster } from './cluster.ts';
import { compare, describeDifferences, isExact, type Comparison } from './compare.ts';
import { Program } from './programs.ts';
import type { Random } from './random.ts';
import { Hopeless, until } from './until.ts';

export type RigOptions = {
  random: Random;
  /** URL of the engine, and another way to it for the program, such as a proxy. */
  source: string;
  target: string;
  nats: string;
  watcherSees?: { source?: string; nats?: string };
  writerSees?: { target?: string; nats?: string };
  /** Begins the names of this rig's indices, its stream and consumer. */
  prefix: string;
  patterns?: string;
  watcherFlags?: readonly string[];
  writerFlags?: readonly string[];
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

  constructor(options: RigOptions) {
    const { prefix } = options;
    this.#seed = options.random.seed;
    this.prefix = prefix;
    this.directory = temporaryDirectory('rig');
    this.checkpointPath = join(this.directory, 'checkpoint');
    this.source = new Cluster(options.source);
    this.target = new Cluster(options.target);
    const { watcherSees = {}, writerSees = {}, watcherFlags = [], writerFlags = [] } = options;
    const watcher = {
      'es-hosts': watcherSees.source ?? options.source,
      'nats-url': watcherSees.nats ?? options.nats,
      stream: `${prefix}_CHANGES`,
      tenant: prefix,
      'index-patterns': options.patterns ?? `${prefix}-*`,
      'checkpoint-path': this.checkpointPath,
    };
    const writer = {
      'es-hosts': writerSees.target ?? options.target,
      'nats-url': writerSees.nats ?? options.nats,
      stream: `${prefix}_CHANGES`,
      consumer: `${prefix}_writer`,
      'dlq-stream': `${prefix}_DLQ`,
    };
    this.watcher = new Program('es-watcher', {
      logFile: join(this.directory, 'watcher.log'),
      flags: [...asFlags(watcher), ...watcherFlags],
    });
    this.writer = new Program('es-writer', {
      logFile: join(this.directory, 'writer.log'),
      flags: [...asFlags(writer), ...writerFlags],
    });
  }

  async start(): Promise<void> {
    await Promise.all([this.watcher.startReady(), this.writer.startReady()]);
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
    let last: Comparison | undefined;
    let restingSince: number | undefined;
    const look = async (): Promise<Comparison | undefined> => {
      const resting = await this.atRest();
      if (!resting) restingSince = undefined;
      last = await compare(this.source, this.target, { ...options, pattern });
      if (!isExact(last)) {
        if (resting) restingSince ??= Date.now();
        if (restingSince !== undefined && Date.now() - restingSince > hopelessAfterMs)
          throw new Hopeless('at rest and still different');
        return undefined;
      }
      return resting && (await this.atRest()) ? last : undefined;
    };
    try {
      return await until('the same documents on both sides', look, { withinMs, everyMs: 250 });
    } catch (error) {
      const differences = last === undefined ? '' : `${await describeDifferences(last, this.source, this.target)}\n`;
      throw new Error(`SEED=${this.#seed}: ${(error as Error).message}\n${differences}${this.tail()}`, { cause: error });
    }
  }

  /** Error lines other than those whose code is expected are a failure, even where the documents are right. */
  assertQuiet(expected: readonly string[] = []): void {
    const unexpected = [...this.watcher.complaints, ...this.writer.complaints].filter(
      (line) => !expected.includes(line.code ?? ''),
    );
    if (unexpected.length > 0)
      throw new Error(
        `unexpected log lines:\n${unexpected
          .slice(0, 10)
          .map((line) => JSON.stringify(line))
          .join('\n')}`,
      );
  }

  tail(): string {
    return `${this.watcher.tail()}\n${this.writer.tail()}`;
  }

  async stop(): Promise<void> {
    await Promise.all([this.watcher, this.writer].map(async (program) => program.isRunning() && program.stop()));
    await Promise.all([this.source.close(), this.target.close()]);
  }
}

function asFlags(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
}
