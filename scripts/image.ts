import { chmodSync, cpSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describeError } from '../src/core/errors.ts';
import { command } from './provision/command.ts';
import { distPath, root } from './release/product.ts';

/** The user that programs run as in the image: number and name are those of distroless images. */
const USER = { id: 65_532, name: 'nonroot' };

/**
 * Lays out what the image holds, from what `make release` has built: `image.ts DIRECTORY` makes DIRECTORY/root, which is owned by root and
 * never written to, and DIRECTORY/data, which is the user's. deploy/docker/Dockerfile copies both into an empty image.
 */
async function layOut(directory: string): Promise<void> {
  const tree = join(directory, 'root');
  rmSync(directory, { recursive: true, force: true });
  for (const path of ['etc', 'usr/bin', 'usr/share/doc/es-sync-gateway', 'proc', 'sys', 'dev', 'run'])
    mkdirSync(join(tree, path), { recursive: true });
  mkdirSync(join(directory, 'data'));
  mkdirSync(join(tree, 'tmp'));
  chmodSync(join(tree, 'tmp'), 0o1777);
  cpSync(distPath(`linux-${process.arch}`), join(tree, 'usr/bin'), { recursive: true, verbatimSymlinks: true });
  for (const library of await librariesOf(distPath(`linux-${process.arch}`, 'es-sync'))) {
    mkdirSync(join(tree, dirname(library)), { recursive: true });
    cpSync(realpathSync(library), join(tree, library));
  }
  writeFileSync(join(tree, 'etc/passwd'), `root:x:0:0::/:/\n${USER.name}:x:${USER.id}:${USER.id}::/data:/\n`);
  writeFileSync(join(tree, 'etc/group'), `root:x:0:\n${USER.name}:x:${USER.id}:\n`);
  // Names of the compose file or cluster come by DNS, those of extra_hosts by the file.
  writeFileSync(join(tree, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  cpSync(join(root, 'LICENSE'), join(tree, 'usr/share/doc/es-sync-gateway/LICENSE'));
}

/** The shared libraries of a program and the loader of them, by the paths that it looks for. None for one that is linked statically. */
async function librariesOf(program: string): Promise<string[]> {
  const listed = await command('ldd', [program]).catch(() => '');
  return [...listed.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm)].map((match) => match[1]!);
}

const [directory] = process.argv.slice(2);
try {
  if (directory === undefined) throw new Error('image.ts DIRECTORY');
  await layOut(directory);
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}
