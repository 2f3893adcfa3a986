import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { schemas } from '../../scripts/docs/schemas.ts';
import { releaseNotes } from '../../scripts/release/changelog.ts';
import { completions } from '../../scripts/release/completions.ts';
import { demanding, type Component } from '../../scripts/release/components.ts';
import { product } from '../../scripts/release/product.ts';
import { faultsOfSbom, sbom } from '../../scripts/release/sbom.ts';

const directory = mkdtempSync(join(tmpdir(), 'release-parts-'));
after(() => rmSync(directory, { recursive: true }));

const component = (name: string, licence: string): Component => ({
  name,
  version: '1.0.0',
  purl: `pkg:npm/${name}@1.0.0`,
  licence,
  text: 'text',
});

/** What bash offers for a line whose last word is being written. */
function offered(words: readonly string[]): string[] {
  const file = join(directory, 'completion.bash');
  writeFileSync(file, completions(schemas).get('bash/es-sync')!);
  const line = words.map((word) => `'${word}'`).join(' ');
  const script = `. '${file}'; COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _es_sync; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split('\n');
}

test('bash completes commands, flags and the words that a flag takes', () => {
  assert.deepEqual(offered(['es-sync', 'es-w']), ['es-watcher', 'es-writer']);
  assert.deepEqual(offered(['es-sync', 'run', '--sourc']).slice(0, 2), ['--source', '--source-username']);
  assert.deepEqual(offered(['/usr/bin/es-watcher', '--poll']), ['--poll-interval']);
  assert.deepEqual(offered(['es-watcher', '--refresh', '']), ['force', 'passive']);
});

test('completions for zsh and fish name every flag of every program', () => {
  const texts = completions(schemas);
  for (const { program, settings } of schemas) {
    const last = Object.keys(settings)
      .at(-1)!
      .replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    assert.match(texts.get('zsh/_es-sync')!, new RegExp(`'--${last}\\[`), program);
    assert.match(texts.get('fish/es-sync.fish')!, new RegExp(`-l ${last} `), program);
  }
});

test('the bill of materials is whole, follows from its parts, and a fault in it is named', () => {
  const parts = [component('a', 'MIT'), component('b', '(MIT OR Apache-2.0)')];
  const text = sbom(parts, new Date(0));
  assert.deepEqual(faultsOfSbom(text), []);
  assert.equal(sbom(parts, new Date(0)), text);
  assert.notDeepEqual(faultsOfSbom(sbom([...parts, component('a', 'MIT')], new Date(0))), []);
  assert.match(faultsOfSbom(text.replace('"version": "1.0.0"', '"version": ""')).join(), /a has no version/);
});

test('a licence that asks for more than to be named is not shipped unseen', () => {
  assert.deepEqual(demanding([component('a', 'ISC'), component('b', 'MIT AND BSD-3-Clause'), component('c', 'AGPL-3.0')]), [
    'c: AGPL-3.0',
  ]);
});

test('release notes are the changelog’s part on this version', () => {
  const { text } = releaseNotes();
  assert.match(text, new RegExp(`^# es-sync-gateway ${product.version}\\n\\n### Added\\n\\n- `));
  assert.doesNotMatch(text, /^## /m);
});
