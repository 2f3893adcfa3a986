import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir, install, type InstallEvents, type Recipe } from './cache.ts';
import { command } from './command.ts';

/** The Node that executables are made of: the one that scripts/node.sh installs where there is none. */
export const NODE_VERSION = /^version=(\S+)$/m.exec(readFileSync(join(import.meta.dirname, '../node.sh'), 'utf8'))![1]!;

/** The directory of a Node that has been put into the cache: `bin/node` and `LICENSE`. */
export async function nodeHome(version: string, events: InstallEvents = {}): Promise<string> {
  const installed = cacheDir('node', version);
  if (existsSync(join(installed, 'bin', 'node')) && existsSync(join(installed, 'LICENSE'))) return installed;
  return install(npmRecipe(version), events);
}

function npmRecipe(version: string): Recipe {
  const name = `node-linux-${process.arch}`;
  return {
    name: `${name}-${version}`,
    build: async (stage) => {
      const args = ['install', '--prefix', stage, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
      await command('npm', [...args, `${name}@${version}`]);
      cpSync(join(stage, 'node_modules', name), join(stage, 'home'), { recursive: true });
    },
  };
}
