import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { argumentsAt, legible, literalsOf } from '../../scripts/docs/calls.ts';
import { errorsOf } from '../../scripts/docs/errors.ts';

const root = join(import.meta.dirname, '../..');
const made = errorsOf(root);

test('arguments, literals and what their readers see', () => {
  assert.deepEqual(argumentsAt("f('A', `b ${g(1, '}')}, c`, { hint: 'd, e' }) + 1", 2), [
    "'A'",
    "`b ${g(1, '}')}, c`",
    "{ hint: 'd, e' }",
  ]);
  assert.deepEqual(literalsOf("x === '' ? `a ${b}` : f('no')"), ["''", '`a ${b}`']);
  assert.equal(legible('`the ${a} ${b("}")} of ${`x${y}`}\\n${z}`'), 'the … of …');
  assert.equal(legible("'it\\'s'"), "it's");
});

test('the page of errors knows every error that is made by name', () => {
  const known = new Set(made.map(({ code }) => code));
  const direct = globSync('src/**/*.ts', { cwd: root }).flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/new \w+Error\(\s*'([A-Z_0-9]+)'/g)].map(([, code]) => code!),
  );
  assert.deepEqual(
    direct.filter((code) => !known.has(code)),
    [],
  );
  for (const code of ['ES_FORBIDDEN', 'ES_UNAUTHORIZED', 'JETSTREAM_DISABLED', 'UNKNOWN_FLAG']) assert.ok(known.has(code), code);
});

test('codes that the pages name are made somewhere', () => {
  const known = new Set(made.map(({ code }) => code));
  for (const page of globSync(['README.md', 'docs/*.md'], { cwd: root })) {
    const named = [
      ...readFileSync(join(root, page), 'utf8').matchAll(/`((?:CHECKPOINT|STREAM|INDEX|CONSUMER|ENVELOPE)_[A-Z_]+)`/g),
    ];
    for (const [, code = ''] of named) {
      const isSetting = /^(CHECKPOINT_PATH|STREAM_(MAX_BYTES|KEEP|REPLICAS)|INDEX_PATTERNS)$/.test(code);
      assert.ok(isSetting || known.has(code), `${page} names ${code}`);
    }
  }
});
