import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Recipe } from './cache.ts';
import { aptGet, canAptGet, command, missing, which } from './command.ts';
import { unpackDebian } from './debian.ts';

const config = join(import.meta.dirname, '../../deploy/firecracker/kernel.config');
/** Debian's source of the line of kernels for which the configuration is written, a line that Firecracker supports for guests. */
const sourcePackage = 'linux-source-6.1';
const tools = ['gcc', 'make', 'flex', 'bison', 'bc', 'xz'];
const buildPackages = ['gcc', 'libc6-dev', 'make', 'flex', 'bison', 'bc', 'xz-utils', 'libelf-dev'];
const hint = `it takes Debian 12, or a container of it, and as root: apt-get update && apt-get install ${buildPackages.join(' ')}`;

/** The kernel of the microVM, built from Debian's current source; a newer package or another configuration is another kernel. */
export async function kernelRecipe(): Promise<Recipe> {
  const version = await candidate();
  const digest = createHash('sha256').update(readFileSync(config)).digest('hex').slice(0, 8);
  return { name: `linux-${version}-${digest}`, build };
}

/** The version of the package that apt would install. */
async function candidate(): Promise<string> {
  const ask = async (): Promise<string | undefined> => {
    if (which('apt-cache') === undefined) return undefined;
    const shown = await command('apt-cache', ['show', '--no-all-versions', sourcePackage]).catch(() => '');
    return /^Version: (\S+)$/m.exec(shown)?.[1];
  };
  const known = await ask();
  if (known !== undefined) return known;
  if (canAptGet()) await command('apt-get', ['update', '-q']);
  const found = await ask();
  if (found === undefined) throw missing(`apt knows no package ${sourcePackage}`, hint);
  return found;
}

async function build(stage: string): Promise<void> {
  if (!isEquipped() && canAptGet()) await aptGet(...buildPackages);
  if (!isEquipped()) throw missing('the tools to build a kernel are not there', hint);
  const { directory } = await unpackDebian(stage, sourcePackage);
  await command('tar', ['-xf', join(directory, 'usr/src', `${sourcePackage}.tar.xz`)], { cwd: stage });
  const source = join(stage, sourcePackage);
  const make = (...args: string[]): Promise<string> =>
    command('make', ['-s', ...args], { cwd: source, env: sameBytes, timeoutMs });
  await make(`KCONFIG_ALLCONFIG=${config}`, 'allnoconfig');
  assertTaken(readFileSync(join(source, '.config'), 'utf8'));
  await make(`-j${availableParallelism()}`, 'vmlinux');
  await command('strip', ['-o', join(stage, 'home', 'vmlinux'), join(source, 'vmlinux')]);
  copyFileSync(join(source, '.config'), join(stage, 'home', 'config'));
}

/** Minutes where nothing else runs. */
const timeoutMs = 2 * 60 * 60_000;

/** What the kernel says of its own making, else different in each build. */
const sameBytes = { KBUILD_BUILD_TIMESTAMP: '@0', KBUILD_BUILD_USER: 'es-sync', KBUILD_BUILD_HOST: 'es-sync' };

function isEquipped(): boolean {
  return tools.every((tool) => which(tool) !== undefined) && existsSync('/usr/include/libelf.h');
}

/** An option whose conditions are not met is dropped without a word. */
function assertTaken(settled: string): void {
  const lines = new Set(settled.split('\n'));
  const dropped = readFileSync(config, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('CONFIG_') && !lines.has(line));
  if (dropped.length > 0) throw new Error(`the kernel's configuration did not take ${dropped.join(', ')}`);
}
