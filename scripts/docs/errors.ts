import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { argumentsAt, legible, literalsOf } from './calls.ts';

/** Where an error is made: a code in capitals first, then its message. */
const made = /\b(?:\w+Error\(\s*'[A-Z_0-9]+'|[\w.#]+\(\s*'[A-Z]+(?:_[A-Z0-9]+)+'),/g;

type Made = { code: string; messages: string[]; hints: string[] };

/** Every error that the sources make. A code may come more than once. */
export function errorsOf(root: string): Made[] {
  return globSync('src/**/*.ts', { cwd: root })
    .sort()
    .flatMap((file) => errorsIn(readFileSync(join(root, file), 'utf8')));
}

function errorsIn(text: string): Made[] {
  return [...text.matchAll(made)].map((match) => {
    const [code = '', message = '', more = ''] = argumentsAt(text, match.index + match[0].indexOf('(') + 1);
    const before = text.slice(0, match.index);
    const hint = more.startsWith('{') ? (/\bhint(?:: ([^]*)|\s*[,}])/.exec(more) ?? []) : ['', more];
    return {
      code: code.slice(1, -1),
      messages: textsOf(message, before, text),
      hints: hint.length === 0 ? [] : textsOf(firstOf(hint[1] ?? 'hint'), before, text),
    };
  });
}

/** A property's value, without what comes after it. */
function firstOf(properties: string): string {
  return argumentsAt(`${properties})`, 0)[0] ?? '';
}

/** What an expression can say: its literals, or those of the constant or parameter that it names. */
function textsOf(expression: string, before: string, text: string): string[] {
  const literals = literalsOf(expression);
  const named = literals.length > 0 ? [] : [...expression.matchAll(/(?<![.\w])[a-z]\w*(?![\w(.])/g)].map(([name]) => name);
  const found = [...literals, ...named.flatMap((name) => literalsNamed(name, before, text))];
  return found.map((literal) => legible(withConstants(literal, text))).filter((one) => /\p{L}{2}/u.test(one));
}

/** A template with the plain constants of its file put in. */
function withConstants(literal: string, text: string): string {
  if (!literal.startsWith('`')) return literal;
  return literal.replaceAll(/\$\{(\w+)\}/g, (insert, name: string) => {
    const constant = new RegExp(`\\bconst ${name} = '([^'\\n]*)';`).exec(text);
    return constant?.[1] ?? insert;
  });
}

function literalsNamed(name: string, before: string, text: string): string[] {
  const constants = (place: string): RegExpMatchArray[] => [
    ...place.matchAll(new RegExp(`\\bconst ${name} =\\s*([^]*?);\\n`, 'g')),
  ];
  const constant = constants(before).at(-1) ?? constants(text).at(-1);
  const owner = [...before.matchAll(/\bfunction (\w+)\(([^)]*)\)/g)].at(-1);
  const position = owner?.[2]?.split(',').findIndex((one) => one.trim().startsWith(`${name}:`)) ?? -1;
  if (owner === undefined || position < 0) return constant === undefined ? [] : literalsOf(constant[1]!);
  return [...text.matchAll(new RegExp(`(?<!function )\\b${owner[1]}\\(`, 'g'))].flatMap((call) =>
    literalsOf(argumentsAt(text, call.index + call[0].length)[position] ?? ''),
  );
}

/** The page of every error code that the sources make. */
export function errorsPage(root: string): string {
  const rows = new Map<string, { messages: Set<string>; hints: Set<string> }>();
  for (const { code, messages, hints } of errorsOf(root)) {
    const row = rows.get(code) ?? { messages: new Set(), hints: new Set() };
    for (const one of messages) row.messages.add(one);
    for (const one of hints) row.hints.add(one);
    rows.set(code, row);
  }
  const table = [...rows]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { messages, hints }]) => `| \`${code}\` | ${cell(messages)} | ${cell(hints)} |`);
  return `# Errors

<!-- Written by scripts/docs.ts from the sources. -->

Every failure that a user can meet has a code that does not change: it is in the log line (\`code\`), and in what a program prints when it
ends. The message says what was tried and what came of it; the hint behind it names the setting and the next step. A program ends with
exit code 2 for wrong usage and 1 for a failure; what can pass by itself is tried again instead. \`…\` stands for what was given or found;
where the message is left out, it is the server's own.

| code | message | next step |
|---|---|---|
${table.join('\n')}
`;
}

function cell(texts: Set<string>): string {
  return [...texts].join('<br>').replaceAll('|', '\\|');
}
