import { chmodSync, cpSync, globSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { command } from '../provision/command.ts';
import { makeReleaseTree } from './artefacts.ts';

/** The user that programs run as in the image: number and name are those of distroless images. */
const user = { id: 65_532, name: 'nonroot' };
/** Mount points of engines are made in the image, as a read-only root has no place to make them. */
const directories = ['dev', 'etc', 'proc', 'run', 'sys', 'tmp', 'usr/bin'];
const documents = 'usr/share/doc/es-sync-gateway';

/**
 * Builds what the image holds: `directory`/root, which is root's and never written to, and `directory`/data, which is the user's.
 * deploy/docker/Dockerfile copies both into an empty image.
 */
export async function layOutImage(directory: string): Promise<void> {
  const release = await makeReleaseTree();
  const tree = join(directory, 'root');
  rmSync(directory, { recursive: true, force: true });
  for (const path of directories) mkdirSync(join(tree, path), { recursive: true });
  mkdirSync(join(directory, 'data'));
  chmodSync(join(tree, 'tmp'), 0o1777);
  cpSync(join(release, 'bin'), join(tree, 'usr/bin'), { recursive: true, verbatimSymlinks: true });
  for (const path of ['LICENSE', 'licences', 'sbom.cdx.json'])
    cpSync(join(release, path), join(tree, documents, path), { recursive: true });
  for (const library of await librariesOf(join(release, 'bin', 'es-sync'))) {
    // What is beside the executable is found by way of /proc, which need not be there; the loader's own directories always are.
    const home = join(tree, library.startsWith(release) ? 'usr/lib' : dirname(library));
    mkdirSync(home, { recursive: true });
    cpSync(realpathSync(library), join(home, basename(library)));
  }
  for (const licence of globSync('/usr/share/doc/{libc6,libgcc-s1,libstdc++6,libatomic1}/copyright')) {
    const text = join(tree, documents, 'licences', basename(dirname(licence)));
    cpSync(realpathSync(licence), text);
  }
  const files = {
    passwd: `root:x:0:0::/:/\n${user.name}:x:${user.id}:${user.id}::/data:/\n`,
    group: `root:x:0:\n${user.name}:x:${user.id}:\n`,
    // Names of the compose file or the cluster come by DNS, those that an engine adds by the file.
    'nsswitch.conf': 'hosts: files dns\n',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(tree, 'etc', name), text);
}

/** The shared libraries of a program and their loader, by the paths that it looks for. */
async function librariesOf(program: string): Promise<string[]> {
  const listed = await command('ldd', [program]);
  return [...listed.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm)].map((match) => match[1]!);
}
