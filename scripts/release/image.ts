import { chmodSync, cpSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { command } from '../provision/command.ts';
import { distPath, root } from './product.ts';

/** The user that programs run as in the image: number and name are those of distroless images. */
const USER = { id: 65_532, name: 'nonroot' };

/**
 * Lays out what the image holds, from what `make release` has built: `directory`/root, which is root's and never written to, and `directory`/data, which
 * is the user's. deploy/docker/Dockerfile copies both into an empty image.
 */
export async function layOutImage(directory: string): Promise<void> {
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
