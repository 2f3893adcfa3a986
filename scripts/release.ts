import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describeError } from '../src/core/errors.ts';
import { install } from './provision/cache.ts';
import { natsRecipe } from './provision/nats.ts';
import { nodeMuslRecipe } from './provision/node-musl.ts';
import { nodeHome, NODE_VERSION } from './provision/node.ts';
import { megabytes, pack, releaseTime } from './release/archive.ts';
import { bundle } from './release/bundle.ts';
import { natsComponents, nodeComponent, npmComponents } from './release/components.ts';
import { linkCommands, makeExecutable } from './release/executable.ts';
import { makeMuslExecutable } from './release/musl.ts';
import { makeNpmPackage } from './release/npm-package.ts';
import { distPath, root } from './release/product.ts';
import { makeTree } from './release/tree.ts';

const platform = `linux-${process.arch}`;

/** Builds what is shipped, below dist/; each target builds what it stands on. */
const targets: Record<string, () => Promise<string[]>> = {
  build: async () => [(await bundle()).file],
  release: async () => [join(await release(), 'es-sync')],
  musl: async () => [join(await musl(), 'es-sync')],
  dist: async () => [await tree(), await npmPackage()],
  tarball: async () => [await tarball(), await npmPackage()],
};

/** dist/linux-x64: the executable, its links, and the NATS server that it runs. */
async function release(): Promise<string> {
  const directory = distPath(platform);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const { file } = await bundle();
  const node = join(await nodeHome(NODE_VERSION), 'bin', 'node');
  await makeExecutable({ node, bundle: file, output: join(directory, 'es-sync') });
  linkCommands(directory);
  cpSync(await natsServer(), join(directory, 'nats-server'));
  return directory;
}

/** dist/linux-x64-musl: the same for systems without glibc, with the libraries that it needs in lib/. */
async function musl(): Promise<string> {
  const directory = distPath('linux-x64-musl');
  rmSync(directory, { recursive: true, force: true });
  const { file } = await bundle();
  await makeMuslExecutable(await install(nodeMuslRecipe), file, directory);
  linkCommands(directory);
  cpSync(await natsServer(), join(directory, 'nats-server'));
  return directory;
}

async function tree(): Promise<string> {
  const programs = await release();
  const { inputs } = await bundle();
  const node = nodeComponent(await nodeHome(NODE_VERSION), NODE_VERSION);
  const components = [node, ...(await natsComponents(await natsServer())), ...npmComponents(inputs)];
  return makeTree({ platform, programs, components, time: await releaseTime() });
}

async function tarball(): Promise<string> {
  const directory = await tree();
  await pack(directory, `${directory}.tar.gz`, await releaseTime());
  return `${directory}.tar.gz`;
}

async function npmPackage(): Promise<string> {
  const { file, inputs } = await bundle();
  return makeNpmPackage(file, npmComponents(inputs));
}

async function natsServer(): Promise<string> {
  return join(await install(natsRecipe), 'nats-server');
}

const [name = ''] = process.argv.slice(2);
try {
  const target = targets[name];
  if (target === undefined) throw new Error(`release.ts ${Object.keys(targets).join('|')}`);
  for (const file of await target()) process.stdout.write(`${relative(root, file)}  ${megabytes(file)}\n`);
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}
