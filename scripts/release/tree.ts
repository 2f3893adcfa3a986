import { chmodSync, cpSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { schemas } from '../docs/schemas.ts';
import { checksumLine } from './archive.ts';
import { completions } from './completions.ts';
import { demanding, licenceFiles, type Component } from './components.ts';
import { distPath, product, root } from './product.ts';
import { sbom } from './sbom.ts';

export type TreeParts = {
  /** `linux-x64`. */
  platform: string;
  /** A directory with the executables, which becomes bin/. */
  programs: string;
  components: readonly Component[];
  time: Date;
};

const documents = ['README.md', 'CHANGELOG.md', 'LICENSE', 'config/example.yaml'];

/** What an archive holds, as a directory below dist/: programs, example, completions, documents, licences, bill of materials, checksums. */
export function makeTree({ platform, programs, components, time }: TreeParts): string {
  const lacking = demanding(components);
  if (lacking.length > 0) throw new Error(`licences that need a look before they are shipped: ${lacking.join(', ')}`);
  const tree = distPath(`${product.name}-${product.version}-${platform}`);
  rmSync(tree, { recursive: true, force: true });
  cpSync(programs, join(tree, 'bin'), { recursive: true, verbatimSymlinks: true });
  const texts = new Map([['sbom.cdx.json', sbom(components, time)]]);
  for (const [file, text] of completions(schemas)) texts.set(`completions/${file}`, text);
  for (const [file, text] of licenceFiles(components)) texts.set(`licences/${file}`, text);
  texts.set('licences/README.md', licenceTable(components));
  for (const [file, text] of texts) write(join(tree, file), text);
  for (const file of [...documents, ...globSync('docs/**/*.{md,svg}', { cwd: root })]) {
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    cpSync(join(root, file), join(tree, file));
  }
  const files = globSync('**/*', { cwd: tree, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  // Umask and checkout must not show in the archive.
  for (const file of files) chmodSync(file, file.startsWith(join(tree, 'bin')) ? 0o755 : 0o644);
  for (const entry of ['.', ...globSync('**/', { cwd: tree })]) chmodSync(join(tree, entry), 0o755);
  const named = files.map((file) => file.slice(tree.length + 1)).sort();
  write(join(tree, 'SHA256SUMS'), named.map((file) => checksumLine(join(tree, file), file)).join(''));
  return tree;
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { mode: 0o644 });
}

function licenceTable(components: readonly Component[]): string {
  const rows = components.map(({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`);
  return `# What is in here of others\n\nEach licence’s text is in the file of its name.\n\n| | version | licence |\n|---|---|---|\n${rows.join('\n')}\n`;
}
