import { spawn } from 'node:child_process';
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { GatewayError } from '../../src/core/errors.ts';
import { killAtEnd, spareAtEnd } from '../servers/watchdog.ts';

/** A prerequisite that is not there. `hint` says how to get it. */
export function missing(message: string, hint: string, cause?: unknown): GatewayError {
  return new GatewayError('SETUP_PREREQUISITE', message, { hint, cause });
}

export type CommandOptions = { cwd?: string; env?: Record<string, string | undefined>; timeoutMs?: number };

/**
 * Runs a program and returns what it wrote to its standard output. Throws with the end of its output when it fails.
 * It does not outlive us: a download that went on without its lock would write into the next one's files.
 */
export async function command(program: string, args: string[], options: CommandOptions = {}): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<number | string>();
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 30 * 60_000,
  });
  const group = child.pid;
  if (group !== undefined) killAtEnd(group);
  let out = '';
  let all = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    all += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (all += text));
  child.once('error', reject);
  child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  try {
    const status = await promise;
    if (status === 0) return out;
    const tail = all.trim().split('\n').slice(-15).join('\n');
    throw new Error(`${program} ${args.join(' ')} ended with ${status}:\n${tail}`);
  } finally {
    if (group !== undefined) spareAtEnd(group);
  }
}

/** For `CommandOptions.env`: nothing of our own environment, which may hold flags of Node's or a path to find things by. */
export function clearedEnvironment(): Record<string, undefined> {
  return Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined]));
}

/** The real path of a program found in PATH, or undefined. */
export function which(program: string): string | undefined {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(directory || '.', program);
    if (isExecutable(path)) return realpathSync(path);
  }
  return undefined;
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** True where Debian packages may be installed without asking: a Debian machine on which we are root. */
export function canAptGet(): boolean {
  return process.getuid?.() === 0 && which('apt-get') !== undefined;
}

/** Installs Debian packages; the reason for failing is part of the error. */
export async function aptGet(...packages: string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const lock = ['-o', 'DPkg::Lock::Timeout=300'];
  await command('apt-get', [...lock, 'update', '-q'], { env });
  await command('apt-get', [...lock, 'install', '-q', '-y', '--no-install-recommends', ...packages], { env }).catch(
    (error: unknown) => {
      throw missing(
        `apt-get could not install ${packages.join(' ')}`,
        'install it by hand, then run the same command again',
        error,
      );
    },
  );
}
