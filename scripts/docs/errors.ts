import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where an error is made: a code in capitals, then its message. */
const made = /\b\w+\(\s*'([A-Z]+(?:_[A-Z0-9]+)+)',\s*(`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*')/g;

/** A message as its readers see it, with `…` where it says what was given. */
function legible(literal: string): string {
  let text = literal.slice(1, -1);
  // From the inside out: an expression may hold templates of its own.
  for (let before = ''; before !== text;) {
    before = text;
    text = text.replace(/\$\{[^{}]*\}/g, '…');
  }
  return text.replaceAll('\\n', ' ').replaceAll("\\'", "'").replaceAll('|', '\\|');
}

/** The page of every error code that the sources make. */
export function errorsPage(root: string): string {
  const messages = new Map<string, Set<string>>();
  for (const file of globSync('src/**/*.ts', { cwd: root }).sort()) {
    for (const [, code, literal] of readFileSync(join(root, file), 'utf8').matchAll(made)) {
      const of = messages.get(code!) ?? new Set();
      of.add(legible(literal!));
      messages.set(code!, of);
    }
  }
  const rows = [...messages]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, of]) => `| \`${code}\` | ${[...of].join('<br>')} |`);
  return `# Errors

<!-- Written by scripts/docs.ts from the sources. -->

Every failure that a user can meet has a code that does not change: it is in the log line (\`code\`), and in what a program prints when it
ends. The message says what was tried and what came of it; the hint behind it names the setting and the next step. A program ends with
exit code 2 for wrong usage and 1 for a failure; what can pass by itself is tried again instead.

| code | message |
|---|---|
${rows.join('\n')}
`;
}
