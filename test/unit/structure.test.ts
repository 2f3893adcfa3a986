import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { describe, it } from 'node:test';

/** The structure that ARCHITECTURE.md describes, kept by a test. Dead code is knip's affair (`make lint`). */
const root = resolve(import.meta.dirname, '../..');

/**
 * Who may import whom, beside itself. A folder that is not named here is a program: it may import every library, and no program, but for
 * es-sync, which is made of the others.
 */
const libraries: Record<string, readonly string[]> = {
  core: [],
  service: ['core'],
  elastic: ['core'],
  jetstream: ['core'],
  objects: ['core'],
  archive: ['core', 'objects'],
};

const linesUsually = 150;
const linesMax = 320;

function filesUnder(folder: string): string[] {
  return globSync('**/*.ts', { cwd: join(root, folder) }).map((file) => join(folder, file));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/(?:^(?:import|export)\b[^'"`;]*\bfrom |^import |\bimport\()'([^']+)'/gm)].map((match) => match[1]!);
}

/** The folder under src that a relative import leads to; undefined for packages. */
function libraryOf(file: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  const path = resolve(root, dirname(file), specifier);
  const inside = path.slice(root.length + 1).split(sep);
  return inside[0] === 'src' ? inside[1] : `outside src (${inside.join('/')})`;
}

describe('the structure of src', () => {
  const files = filesUnder('src');

  it('is two levels deep', () => {
    assert.deepEqual(
      files.filter((file) => file.split(sep).length !== 3),
      [],
    );
  });

  it('has layers that point one way', () => {
    const wrong: string[] = [];
    for (const file of files) {
      const own = file.split(sep)[1]!;
      const allowed = libraries[own] ?? Object.keys(libraries);
      for (const specifier of importsOf(file)) {
        const to = libraryOf(file, specifier);
        if (to !== undefined && to !== own && !allowed.includes(to) && own !== 'es-sync')
          wrong.push(`${file} imports ${specifier}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('has a core that imports nothing but Node', () => {
    const foreign = files
      .filter((file) => file.startsWith(join('src', 'core')))
      .flatMap((file) => importsOf(file).map((specifier) => ({ file, specifier })))
      .filter(({ specifier }) => !specifier.startsWith('node:') && !specifier.startsWith('./'));
    assert.deepEqual(foreign, []);
  });

  it(`has files mostly under ${linesUsually} lines, none above ${linesMax}`, () => {
    const lengths = files.map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n').length - 1 }));
    assert.deepEqual(
      lengths.filter(({ lines }) => lines > linesMax),
      [],
    );
    const long = lengths.filter(({ lines }) => lines > linesUsually).length;
    assert.ok(long <= files.length / 3, `${long} of ${files.length} files are longer than ${linesUsually} lines`);
  });
});

describe('the repository', () => {
  const texts = globSync('{bin,src,test,bench,scripts,docs,config,deploy,.ci}/**/*', { cwd: root, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .concat(['Makefile', 'package.json', 'package-lock.json', 'README.md', '.npmrc'].map((file) => join(root, file)));

  it('names no registry host', () => {
    // Spelt apart, or this file would name them.
    const hosts = ['npmjs', 'pypi', 'maven', 'golang'].map((name) => `${name}.org`);
    const naming = texts.filter((file) => {
      const text = readFileSync(file, 'utf8');
      return hosts.some((host) => text.includes(host));
    });
    assert.deepEqual(naming, []);
  });

  it('leaves nothing for later', () => {
    const marks = new RegExp(['TO', 'FIX'].map((begun, at) => begun + ['DO', 'ME'][at]!).join('|'));
    assert.deepEqual(
      texts.filter((file) => file.endsWith('.ts') && marks.test(readFileSync(file, 'utf8'))),
      [],
    );
  });

  it('has pages whose links lead somewhere', () => {
    const pages = globSync(['*.md', 'docs/**/*.md'], { cwd: root });
    const broken = pages.flatMap((page) =>
      [...readFileSync(join(root, page), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
        .map((match) => resolve(root, dirname(page), match[1]!))
        .filter((target) => !existsSync(target))
        .map((target) => `${page}: ${target}`),
    );
    assert.deepEqual(broken, []);
  });
});
