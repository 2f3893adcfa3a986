import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { command, missing } from '../provision/command.ts';
import { cacheAsset, codeAsset, type CompiledCode, compileCode } from './compiled-code.ts';
import { Elf } from './elf.ts';
import { commandNames, distPath } from './product.ts';

/** Where the loader looks for libraries first: beside the executable. */
export const libraryPath = '$ORIGIN/lib';

/** What every start of Node gets: the same as bin/es-watcher gives it. */
export const nodeFlags = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=4', '--v8-pool-size=1'];

/** `library` is the file of libatomic, which is put into lib/ beside the output. */
export type ExecutableParts = { node: string; library: string; bundle: string; output: string };

/** What Node's single-executable build is told of the program, whatever it is built for. */
export function executableSettings(code: CompiledCode): object {
  return {
    main: code.loader,
    disableExperimentalSEAWarning: true,
    execArgv: nodeFlags,
    // NODE_OPTIONS stays an operator's way to more memory.
    execArgvExtension: 'env',
    assets: { [codeAsset]: code.code, [cacheAsset]: code.cache },
  };
}

/**
 * Node and the bundle as one file, by Node's own single-executable build, with the bundle's compiled code in it. The same parts give
 * the same bytes.
 */
export async function makeExecutable({ node, library, bundle, output }: ExecutableParts): Promise<void> {
  const stage = distPath('stage');
  mkdirSync(stage, { recursive: true });
  const code = await compileCode(bundle, stage, [node]);
  const stripped = join(stage, 'node');
  await strip(node, stripped);
  const config = join(stage, 'executable.json');
  const settings = { ...executableSettings(code), mainFormat: 'commonjs', executable: stripped, output };
  writeFileSync(config, JSON.stringify(settings));
  rmSync(output, { force: true });
  await command(node, ['--build-sea', config], { cwd: stage });
  const elf = new Elf(readFileSync(output));
  elf.addRunPath(libraryPath);
  writeFileSync(output, elf.bytes);
  mkdirSync(join(dirname(output), 'lib'), { recursive: true });
  cpSync(library, join(dirname(output), 'lib', basename(library)));
  rmSync(stage, { recursive: true });
}

/** The symbols that are only for debuggers are a fifth of Node. */
export async function strip(from: string, to: string): Promise<void> {
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
