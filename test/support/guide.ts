import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** A command of a guide: the program and its arguments. */
export type Command = { program: string; args: readonly string[] };

const docs = resolve(import.meta.dirname, '../../docs');

/** The fenced blocks of a language on a page of docs/, of one section or of all. */
export function blocksOf(page: string, language: string, heading?: string): string[] {
  const text = readFileSync(resolve(docs, page), 'utf8');
  const sections = heading === undefined ? [text] : text.split(/^#+ /m).filter((section) => section.startsWith(`${heading}\n`));
  if (sections.length !== 1) throw new Error(`${page} has ${sections.length} sections ${heading}`);
  return [...sections[0]!.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, block]) => block!);
}

/** The commands of these blocks, split as a shell splits them. */
export function commandsOf(page: string, heading?: string): Command[] {
  return blocksOf(page, 'sh', heading)
    .flatMap((block) => block.split('\n'))
    .flatMap((line) => {
      const words = [...line.replace(/\s#.*/, '').matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
      const [program, ...args] = words;
      return program === undefined ? [] : [{ program, args }];
    });
}

/** The flags that a program is given in a section of a guide, with what stands in for hosts and paths. */
export function flagsOf(
  commands: readonly Command[],
  program: string,
  replaced: Readonly<Record<string, string>>,
): Record<string, string> {
  const command = commands.find((one) => one.program === program);
  if (command === undefined) throw new Error(`the guide does not run ${program}`);
  const flags: Record<string, string> = {};
  for (const [at, word] of command.args.entries()) {
    if (!word.startsWith('--')) continue;
    const value = command.args[at + 1];
    const given = value === undefined || value.startsWith('--') ? 'true' : value;
    flags[word.slice(2)] = replaced[given] ?? given;
  }
  return flags;
}

/** The shell commands that a page of the repository shows in its ```sh blocks, a line each, continued lines joined. */
export function shellLinesOf(page: string): string[] {
  const text = readFileSync(resolve(docs, '..', page), 'utf8');
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block]) =>
    block!
      .replaceAll(/ *\\\n */g, ' ')
      .split('\n')
      .filter((line) => line !== ''),
  );
}
