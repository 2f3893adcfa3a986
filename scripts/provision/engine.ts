import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptGet, canAptGet, command, missing, which } from './command.ts';

/** What builds and runs images, and what its calls need in their environment. */
export type Engine = { program: 'docker' | 'podman'; env: Readonly<Record<string, string>> };

/**
 * Docker where its engine answers, else podman, which needs none; it is installed where that can be done by itself. With `directory` podman keeps
 * images and containers there, apart from the user's own, and leaves limits and control groups as it finds them.
 */
export async function containerEngine(directory?: string): Promise<Engine> {
  if (await answers('docker', ['buildx', 'version'])) {
    if (await answers('docker', ['info'])) return { program: 'docker', env: {} };
  }
  return podman(directory);
}

/** Podman, whatever else there is: it can also run a directory that is no image. */
export async function podman(directory?: string): Promise<Engine> {
  if (which('podman') === undefined && canAptGet()) await aptGet('podman', 'buildah', 'conmon', 'runc');
  if (which('podman') === undefined) throw missing('there is neither a docker engine nor podman', 'install podman');
  return { program: 'podman', env: directory === undefined ? {} : apart(directory) };
}

function answers(program: string, args: string[]): Promise<boolean> {
  return command(program, args, { timeoutMs: 20_000 }).then(
    () => true,
    () => false,
  );
}

/** Settings of podman (containers.conf, storage.conf) under which it neither sees nor touches what else is on the machine. */
function apart(directory: string): Record<string, string> {
  mkdirSync(directory, { recursive: true });
  const settings = {
    CONTAINERS_CONF: [
      '[containers]',
      // Its own default is higher than what a machine may allow.
      'default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]',
      '[engine]',
      'cgroup_manager = "cgroupfs"',
      'events_logger = "file"',
      `tmp_dir = "${join(directory, 'tmp')}"`,
      ...(which('runc') === undefined ? [] : ['runtime = "runc"']),
    ],
    CONTAINERS_STORAGE_CONF: [
      '[storage]',
      'driver = "overlay"',
      `graphroot = "${join(directory, 'graph')}"`,
      `runroot = "${join(directory, 'run')}"`,
    ],
  };
  return Object.fromEntries(
    Object.entries(settings).map(([variable, lines]) => {
      const file = join(directory, `${variable.toLowerCase()}.conf`);
      writeFileSync(file, `${lines.join('\n')}\n`);
      return [variable, file];
    }),
  );
}
