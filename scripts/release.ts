import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describeError } from '../src/core/errors.ts';
import { megabytes } from './release/archive.ts';
import { makeMusl, makePackage, makeRelease, makeTarballs, makeTrees } from './release/artefacts.ts';
import { bundle } from './release/bundle.ts';
import { releaseNotes } from './release/changelog.ts';
import { checkRelease } from './release/check.ts';
import { distPath, root } from './release/product.ts';

/** Builds what is shipped, below dist/ or DIST; each target builds what it stands on, and answers the files to look at. */
const targets: Record<string, () => Promise<readonly string[]>> = {
  build: async () => [(await bundle()).file],
  release: async () => [join(await makeRelease(), 'es-sync')],
  musl: async () => [join(await makeMusl(), 'es-sync')],
  npm: async () => [await makePackage()],
  dist: async () => [...(await makeTrees()), notes()],
  tarball: async () => [...(await makeTarballs()), await makePackage(), notes()],
};

function notes(): string {
  const file = distPath('RELEASE_NOTES.md');
  writeFileSync(file, releaseNotes().text);
  return file;
}

/** `release.ts check [--unreleased] [--twice]` builds a release and looks at all of it. */
async function check(flags: readonly string[]): Promise<boolean> {
  await targets['tarball']!();
  const report = await checkRelease({ unreleased: flags.includes('--unreleased'), twice: flags.includes('--twice') });
  process.stdout.write(`${report.lines.join('\n')}\n`);
  return report.ok;
}

const [name = '', ...flags] = process.argv.slice(2);
try {
  const target = targets[name];
  if (name === 'check') process.exitCode = (await check(flags)) ? 0 : 1;
  else if (target === undefined) throw new Error(`release.ts check|${Object.keys(targets).join('|')}`);
  else for (const file of await target()) process.stdout.write(`${relative(root, file)}  ${megabytes(file)}\n`);
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}
