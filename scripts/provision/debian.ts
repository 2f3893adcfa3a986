import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { command, missing, which } from './command.ts';

/** Fetches a package of the distribution without installing it, and unpacks it below `stage`. Throws where it is not a Debian. */
export async function unpackDebian(stage: string, name: string): Promise<{ directory: string; version: string }> {
  if (which('apt-get') === undefined || which('dpkg-deb') === undefined)
    throw missing(`${name} could not be had`, 'it is taken from Debian’s packages: apt-get and dpkg-deb are needed');
  const download = (): Promise<string> => command('apt-get', ['download', '-q', name], { cwd: stage });
  await download().catch(() => command('apt-get', ['update', '-q']).then(download));
  const file = join(
    stage,
    readdirSync(stage).find((entry) => entry.startsWith(`${name}_`) && entry.endsWith('.deb'))!,
  );
  const directory = join(stage, `${name}.unpacked`);
  await command('dpkg-deb', ['-x', file, directory]);
  return { directory, version: (await command('dpkg-deb', ['--field', file, 'Version'])).trim() };
}
