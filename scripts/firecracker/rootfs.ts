import { chmodSync, cpSync, lstatSync, mkdirSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { aptGet, canAptGet, command, isExecutable, missing, which } from '../provision/command.ts';
import { temporaryDirectory } from '../servers/watchdog.ts';
import { root } from '../release/product.ts';

export type RootfsParts = {
  /** The product's executable. */
  executable: string;
  natsServer: string;
  /** The image. */
  output: string;
};

type Tools = { mke2fs: string; debugfs: string };

const blockBytes = 4_096;
/** For the file system's own records. */
const spareBlocks = 160;
const spareInodes = 16;
/** Names of a file system that is the same whenever it is built. */
const uuid = '6573796e-632d-726f-6f74-66732d763100';
const epochS = 315_532_800;

/**
 * The root drive of the microVM: an ext4 file system without a journal, to be mounted read-only, which holds what the gateway needs and
 * nothing else, no shell either. Neither root nor a loop device is needed: mke2fs fills it from a directory, debugfs makes root the owner.
 */
export async function makeRootfs({ executable, natsServer, output }: RootfsParts): Promise<void> {
  const tree = join(temporaryDirectory('rootfs'), 'tree');
  for (const directory of ['proc', 'sys', 'dev', 'run', 'tmp', 'data', 'etc', 'sbin', 'usr/bin'])
    mkdirSync(join(tree, directory), { recursive: true });
  await compileInit(join(tree, 'sbin/init'));
  place(executable, join(tree, 'usr/bin/es-sync'));
  symlinkSync('es-sync', join(tree, 'usr/bin/nats-gateway'));
  place(natsServer, join(tree, 'usr/bin/nats-server'));
  const tools = { mke2fs: await ext4Tool('mke2fs'), debugfs: await ext4Tool('debugfs') };
  place(tools.mke2fs, join(tree, 'sbin/mke2fs'));
  for (const program of [executable, natsServer, tools.mke2fs]) await placeLibraries(program, tree);
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0::/:/\nes-sync:x:10001:10001::/data:/\n');
  writeFileSync(join(tree, 'etc/hosts'), '127.0.0.1 localhost\n');
  symlinkSync('/run/resolv.conf', join(tree, 'etc/resolv.conf'));
  mkdirSync(dirname(output), { recursive: true });
  await fill(tree, tools, output);
}

/** Static, so that process 1 depends on nothing in the image. */
async function compileInit(to: string): Promise<void> {
  const sources = ['init.c', 'machine.c'].map((file) => join(root, 'deploy/firecracker', file));
  const flags = ['-std=c17', '-Os', '-static', '-s', '-Wall', '-Wextra', '-Werror', '-Wl,--build-id=none'];
  await command('gcc', [...flags, '-o', to, ...sources]).catch((error: unknown) => {
    throw missing(
      'the init of the microVM could not be compiled',
      'it takes gcc with a static C library (Debian: gcc libc6-dev)',
      error,
    );
  });
}

/** A program of e2fsprogs, which is part of nearly every system, though not in every user's PATH. */
async function ext4Tool(name: string): Promise<string> {
  const find = (): string | undefined => which(name) ?? [`/usr/sbin/${name}`, `/sbin/${name}`].find(isExecutable);
  if (find() === undefined && canAptGet()) await aptGet('e2fsprogs');
  const installed = find();
  if (installed === undefined) throw missing(`${name} is not there`, 'install e2fsprogs (Debian: apt-get install e2fsprogs)');
  return installed;
}

function place(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(realpathSync(from), to);
  chmodSync(to, 0o755);
}

/** What the dynamic linker loads for a program, at the paths where it looks for it; nothing for a static one. */
async function placeLibraries(program: string, tree: string): Promise<void> {
  const listed = await command('ldd', [program]).catch((error: unknown) => {
    if (String(error).includes('not a dynamic executable')) return '';
    throw error;
  });
  const beside = `${dirname(realpathSync(program))}/`;
  for (const [, path = ''] of listed.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)) {
    // What lies beside the executable is found by way of /proc, which init may not read yet; the loader's own directories always are.
    place(path, join(tree, path.startsWith(beside) ? 'usr/lib' : dirname(path), basename(path)));
  }
}

/**
 * Makes the file system as large as what it holds. Owner and times of every file are set to the same whoever builds it and when, so that the
 * same parts give the same bytes.
 */
async function fill(tree: string, tools: Tools, output: string): Promise<void> {
  const entries = readdirSync(tree, { recursive: true, encoding: 'utf8' }).sort();
  const sizes = entries.map((entry) => lstatSync(join(tree, entry)).size);
  const blocks = sizes.reduce((sum, size) => sum + Math.ceil(size / blockBytes), spareBlocks);
  const features =
    `-t ext4 -O ^has_journal,^resize_inode,^dir_index -m 0 -b ${blockBytes} -N ${entries.length + spareInodes}`.split(' ');
  const env = { E2FSPROGS_FAKE_TIME: String(epochS) };
  rmSync(output, { force: true });
  const names = `-U ${uuid} -E hash_seed=${uuid},root_owner=0:0`.split(' ');
  await command(tools.mke2fs, ['-q', ...features, ...names, '-d', tree, output, String(blocks)], { env });
  const orders = ['', ...entries].flatMap((entry) => {
    const fields = ['uid 0', 'gid 0', modeField(join(tree, entry)), ...timeFields];
    return fields.map((field) => `set_inode_field "/${entry}" ${field}`);
  });
  const file = join(dirname(tree), 'owners');
  writeFileSync(file, orders.join('\n'));
  await command(tools.debugfs, ['-w', '-f', file, output], { env });
}

const timeFields = ['atime', 'ctime', 'mtime', 'crtime'].map((time) => `${time} @${epochS}`);

/** Permissions whatever the builder's umask is: all may read, and what its owner may run all may run. */
function modeField(path: string): string {
  const { mode } = lstatSync(path);
  const permissions = (mode & 0o100) === 0 ? 0o644 : 0o755;
  return `mode 0${((mode & ~0o777) | permissions).toString(8)}`;
}
