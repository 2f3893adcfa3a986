import { join } from 'node:path';
import { aptGet, canAptGet, command, which } from '../../scripts/provision/command.ts';
import { podman, type Engine } from '../../scripts/provision/engine.ts';
import { temporaryDirectory } from '../../scripts/servers.ts';
import { endsWithUs } from './container.ts';
import { until } from './until.ts';

const root = join(import.meta.dirname, '../..');

/** What systemd's own services would do to the kernel, which is shared, or to nothing here. */
const masked = [
  'systemd-udevd',
  'systemd-udev-trigger',
  'systemd-sysctl',
  'systemd-modules-load',
  'systemd-logind',
  'systemd-resolved',
];

/** What it needs of Debian, where it can be installed by itself. */
export async function installSystemd(): Promise<void> {
  if (which('systemd-analyze') === undefined && canAptGet()) await aptGet('systemd');
}

/**
 * This machine's own system, booted once more by its own systemd in a container: the same files, of which changes are dropped, and the same network.
 * Only what is asked for is started.
 */
export class BootedSystem {
  readonly #engine: Engine;
  readonly #name: string;
  #release: () => void = () => undefined;

  private constructor(engine: Engine, name: string) {
    this.#engine = engine;
    this.#name = name;
  }

  static async boot(name: string): Promise<BootedSystem> {
    await installSystemd();
    const engine = await podman(temporaryDirectory('booted'));
    // A copy of what is there now would be made of it otherwise, and others write there meanwhile.
    const empty = ['/tmp', '/run', '/run/lock', '/var/log/journal'].flatMap((path) => ['--tmpfs', `${path}:rw,notmpcopyup`]);
    const allowed = ['--cap-add', 'all', '--security-opt', 'seccomp=unconfined', '--security-opt', 'apparmor=unconfined'];
    const system = ['/lib/systemd/systemd', '--unit=sysinit.target', ...masked.map((unit) => `systemd.mask=${unit}.service`)];
    const named = ['--detach', '--name', name, '--network', 'host', '--systemd', 'always'];
    // What this checkout is in may be below one of the empty ones.
    const files = [...empty, '--volume', `${root}:${root}:ro`, '--rootfs', '/:O'];
    await command(engine.program, ['run', ...named, ...allowed, ...files, ...system], { env: engine.env });
    const booted = new BootedSystem(engine, name);
    booted.#release = await endsWithUs(engine, name);
    const up = async () => (await booted.run('systemctl list-jobs')).includes('No jobs running');
    await until('systemd to have booted', up, { withinMs: 60_000 });
    // On a machine systemd does so itself, in a container it leaves it alone: without it credentials do not reach a unit.
    await booted.run('mount --make-rshared /');
    return booted;
  }

  /** Runs a shell command there, in the checkout; answers its output. Throws where it fails. */
  run(line: string): Promise<string> {
    return command(this.#engine.program, ['exec', '--workdir', root, this.#name, '/bin/sh', '-ec', line], {
      env: this.#engine.env,
    });
  }

  async end(): Promise<void> {
    await command(this.#engine.program, ['rm', '--force', '--time', '0', this.#name], { env: this.#engine.env });
    this.#release();
  }
}
