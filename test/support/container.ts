import { command } from '../../scripts/provision/command.ts';
import type { Engine } from '../../scripts/provision/engine.ts';
import { freePort } from '../../scripts/servers.ts';
import { killAtEnd, spareAtEnd } from '../../scripts/servers/watchdog.ts';
import { until } from './until.ts';

/** What a compose file or a chart says of one container. */
export type ContainerSpec = {
  name: string;
  image: string;
  /** Program and flags. */
  command: readonly string[];
  env: Readonly<Record<string, string>>;
  user: string | undefined;
  readOnly: boolean;
  capDrop: readonly string[];
  noNewPrivileges: boolean;
  /** `source` is a directory, a file, or the name of a volume; without one it is empty and gone with the container. */
  mounts: readonly { source: string | undefined; target: string; readOnly: boolean }[];
};

const readyWithinMs = 60_000;

/** Has a container's first process killed when this process ends: an engine would let it go on. Answers what takes that back. */
export async function endsWithUs(engine: Engine, name: string): Promise<() => void> {
  const pid = Number(await command(engine.program, ['inspect', '--format', '{{.State.Pid}}', name], { env: engine.env }));
  if (pid <= 1) return () => undefined;
  killAtEnd(pid);
  return () => spareAtEnd(pid);
}

/** A container of a real engine. It shares the machine's network, as the clusters under test listen on the loopback interface only. */
export class Container {
  readonly spec: ContainerSpec;
  /** Of its admin server. */
  readonly url: string;
  readonly #engine: Engine;
  #release: () => void = () => undefined;

  private constructor(engine: Engine, spec: ContainerSpec, url: string) {
    this.#engine = engine;
    this.spec = spec;
    this.url = url;
  }

  /** Starts it with an admin port of its own, and returns at once. */
  static async start(engine: Engine, spec: ContainerSpec): Promise<Container> {
    const listen = `127.0.0.1:${await freePort()}`;
    const env = { ...spec.env, ADMIN_LISTEN: listen, NATS3_LISTEN: listen };
    const mounts = spec.mounts.map(({ source, target, readOnly }) =>
      source === undefined ? ['--tmpfs', target] : ['--volume', `${source}:${target}${readOnly ? ':ro' : ''}`],
    );
    const args = [
      'run',
      '--detach',
      '--network=host',
      '--no-healthcheck',
      `--name=${spec.name}`,
      ...(spec.user === undefined ? [] : ['--user', spec.user]),
      ...(spec.readOnly ? ['--read-only'] : []),
      ...spec.capDrop.flatMap((capability) => ['--cap-drop', capability]),
      ...(spec.noNewPrivileges ? ['--security-opt', 'no-new-privileges'] : []),
      ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
      ...mounts.flat(),
      spec.image,
      ...spec.command,
    ];
    await command(engine.program, args, { env: engine.env });
    const container = new Container(engine, spec, `http://${listen}`);
    container.#release = await endsWithUs(engine, spec.name);
    return container;
  }

  /** Waits until it can do its work, and starts it again where it has ended, as an engine or a kubelet would: a peer may not be there yet. */
  async ready(): Promise<void> {
    const ask = async () => {
      if ((await this.#state()) === 'exited') await this.start();
      return (await fetch(`${this.url}/health/ready`)).status === 200;
    };
    await until(`${this.spec.name} to be ready`, ask, { withinMs: readyWithinMs, everyMs: 300 }).catch(async (error: unknown) => {
      throw new Error(`${(error as Error).message}\n${await this.logs()}`);
    });
  }

  /** Runs a program in it; answers its exit code and output. */
  async exec(...args: string[]): Promise<{ ok: boolean; output: string }> {
    return this.#call('exec', this.spec.name, ...args).then(
      (output) => ({ ok: true, output }),
      (error: unknown) => ({ ok: false, output: (error as Error).message }),
    );
  }

  logs(): Promise<string> {
    const script = '"$0" logs "$1" 2>&1';
    return command('/bin/sh', ['-c', script, this.#engine.program, this.spec.name], { env: this.#engine.env }).catch(String);
  }

  async start(): Promise<void> {
    await this.#call('start', this.spec.name);
    this.#release = await endsWithUs(this.#engine, this.spec.name);
  }

  /** Ends its first process, and with it all others, as the kernel does. */
  async kill(): Promise<void> {
    await this.#call('kill', '--signal', 'KILL', this.spec.name);
    await this.#call('wait', this.spec.name);
    this.#release();
  }

  /** Asks it to drain. Answers the exit code. */
  async stop(): Promise<number> {
    await this.#call('stop', '--time', '40', this.spec.name);
    this.#release();
    return Number(await this.#call('inspect', '--format', '{{.State.ExitCode}}', this.spec.name));
  }

  async remove(): Promise<void> {
    await this.#call('rm', '--force', '--volumes', this.spec.name);
    this.#release();
  }

  async #state(): Promise<string> {
    return (await this.#call('inspect', '--format', '{{.State.Status}}', this.spec.name)).trim();
  }

  #call(...args: string[]): Promise<string> {
    return command(this.#engine.program, args, { env: this.#engine.env });
  }
}
