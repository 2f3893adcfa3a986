import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { command, missing } from '../provision/command.ts';
import { commandNames, distPath } from './product.ts';

/** What every start of Node gets: the same as bin/es-watcher gives it. */
const nodeFlags = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=8'];

export type ExecutableParts = { node: string; bundle: string; output: string };

/**
 * Node and the bundle as one file, by Node's own single-executable build, with the bundle's compiled code in it. The same parts give
 * the same bytes.
 */
export async function makeExecutable({ node, bundle, output }: ExecutableParts): Promise<void> {
  mkdirSync(dirname(output), { recursive: true });
  mkdirSync(distPath('stage'), { recursive: true });
  const stripped = distPath('stage', 'node');
  await strip(node, stripped);
  const config = distPath('stage', 'executable.json');
  const settings = {
    main: bundle,
    mainFormat: 'commonjs',
    executable: stripped,
    output,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    execArgv: nodeFlags,
    // NODE_OPTIONS stays an operator's way to more memory.
    execArgvExtension: 'env',
  };
  writeFileSync(config, JSON.stringify(settings));
  rmSync(output, { force: true });
  // With a seed of its own per run, V8 would write the compiled code in another order each time.
  await command(node, ['--random-seed=1', '--build-sea', config]);
  rmSync(distPath('stage'), { recursive: true });
}

/** The symbols that are only for debuggers are a fifth of Node. */
async function strip(from: string, to: string): Promise<void> {
  cpSync(from, to);
  await command('strip', ['--strip-all', to]).catch((error: unknown) => {
    throw missing('strip failed', 'it comes with binutils (Debian: apt-get install binutils)', error);
  });
}

/** Links by which the executable runs as each of its programs. */
export function linkCommands(directory: string): void {
  const [own, ...others] = commandNames as readonly [string, ...string[]];
  for (const name of others) {
    rmSync(join(directory, name), { force: true });
    symlinkSync(own, join(directory, name));
  }
}
