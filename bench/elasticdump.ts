import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { install } from '../scripts/provision/cache.ts';
import { command } from '../scripts/provision/command.ts';

const version = '6.125.1';

/** The peer's program, installed into the cache on demand: it is measured, not used. */
export async function elasticdump(): Promise<{ program: string; version: string }> {
  const home = await install({
    name: `elasticdump-${version}`,
    build: async (stage) => {
      const options = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
      await command('npm', ['install', '--prefix', join(stage, 'home'), ...options, `elasticdump@${version}`]);
    },
  });
  const root = join(home, 'node_modules', 'elasticdump');
  const program = join(root, 'bin', 'elasticdump');
  if (!existsSync(program)) throw new Error(`elasticdump has no ${program}`);
  const found = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return { program, version: found.version };
}
