import { cpSync, globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recipe } from './cache.ts';
import { unpackDebian } from './debian.ts';

export const libatomicFile = 'libatomic.so.1';

/** The one library that Node needs and that distributions do not install by themselves; `version` beside it. */
export const libatomicRecipe: Recipe = {
  name: `libatomic-linux-${process.arch}`,
  build: async (stage) => {
    const { directory, version } = await unpackDebian(stage, 'libatomic1');
    const [file] = globSync(`usr/lib/*/${libatomicFile}.*`, { cwd: directory });
    cpSync(join(directory, file!), join(stage, 'home', libatomicFile));
    writeFileSync(join(stage, 'home', 'version'), version);
  },
};
