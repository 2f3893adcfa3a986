import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { install } from '../provision/cache.ts';
import { libatomicFile, libatomicRecipe } from '../provision/libatomic.ts';
import { nodeMuslRecipe, NODE_MUSL_VERSION } from '../provision/node-musl.ts';
import { natsRecipe } from '../provision/nats.ts';
import { nodeHome, NODE_VERSION } from '../provision/node.ts';
import { pack, releaseTime } from './archive.ts';
import { bundle } from './bundle.ts';
import {
  libatomicComponent,
  muslComponents,
  natsComponents,
  nodeComponent,
  npmComponents,
  type Component,
} from './components.ts';
import { linkCommands, makeExecutable } from './executable.ts';
import { makeMuslExecutable } from './musl.ts';
import { makeNpmPackage } from './npm-package.ts';
import { distPath } from './product.ts';
import { makeTree } from './tree.ts';

/** `linux-x64`: systems with glibc. */
export const platform = `linux-${process.arch}`;
export const muslPlatform = 'linux-x64-musl';

/** dist/linux-x64: the executable with a library in lib/, its links, and the NATS server that it runs. */
export async function makeRelease(): Promise<string> {
  const directory = emptied(platform);
  const { file } = await bundle();
  const node = join(await nodeHome(NODE_VERSION), 'bin', 'node');
  const library = join(await install(libatomicRecipe), libatomicFile);
  await makeExecutable({ node, library, bundle: file, output: join(directory, 'es-sync') });
  return furnished(directory);
}

/** dist/linux-x64-musl: the same for systems without glibc, with the libraries that it needs in lib/. */
export async function makeMusl(): Promise<string> {
  const directory = emptied(muslPlatform);
  const { file } = await bundle();
  await makeMuslExecutable(await install(nodeMuslRecipe), file, directory);
  return furnished(directory);
}

function emptied(name: string): string {
  const directory = distPath(name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  return directory;
}

async function furnished(directory: string): Promise<string> {
  linkCommands(directory);
  cpSync(await natsServer(), join(directory, 'nats-server'));
  return directory;
}

/** What the archive for systems with glibc is made of, and the container image. */
export async function makeReleaseTree(): Promise<string> {
  const own = [nodeComponent(await nodeHome(NODE_VERSION), NODE_VERSION), libatomicComponent(await install(libatomicRecipe))];
  const programs = await makeRelease();
  return makeTree({ platform, programs, components: await componentsWith(own), time: await releaseTime() });
}

/** The directories that the archives are made of. */
export async function makeTrees(): Promise<string[]> {
  const trees = [await makeReleaseTree()];
  if (process.arch !== 'x64') return trees;
  const time = await releaseTime();
  const home = await install(nodeMuslRecipe);
  const parts = [nodeComponent(home, NODE_MUSL_VERSION), ...muslComponents(home)];
  const programs = await makeMusl();
  return [...trees, makeTree({ platform: muslPlatform, programs, components: await componentsWith(parts), time })];
}

async function componentsWith(base: readonly Component[]): Promise<Component[]> {
  const { inputs } = await bundle();
  return [...base, ...(await natsComponents(await natsServer())), ...npmComponents(inputs)];
}

export async function makeTarballs(): Promise<string[]> {
  const time = await releaseTime();
  const trees = await makeTrees();
  await Promise.all(trees.map((tree) => pack(tree, `${tree}.tar.gz`, time)));
  return trees.map((tree) => `${tree}.tar.gz`);
}

export async function makePackage(): Promise<string> {
  const { file, inputs } = await bundle();
  return makeNpmPackage(file, npmComponents(inputs));
}

async function natsServer(): Promise<string> {
  return join(await install(natsRecipe), 'nats-server');
}
