import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export type DocCommand = { page: string; line: number; command: string };

const programs = 'make|bin/[\\w-]+|scripts/[\\w.-]+|curl|nats-server|nats|node|npm|docker|helm|kubectl|systemctl';
/** A command may begin with assignments, such as `KEEP=1`. */
const isCommand = new RegExp(`^(?:[A-Z_]+=\\S+ +)*(?:${programs})(?: |$)`);
const codeSpan = /`([^`]+)`/g;

/** Every command that the pages show: lines of code blocks, indented or fenced, and code within a sentence. */
export function commandsIn(root: string, pages: readonly string[]): DocCommand[] {
  const files = globSync([...pages], { cwd: root }).sort();
  return files.flatMap((page) => {
    let fenced = false;
    return readFileSync(join(root, page), 'utf8')
      .split('\n')
      .flatMap((text, at) => {
        if (text.startsWith('```')) fenced = !fenced;
        const block = fenced || text.startsWith('    ');
        const found = block ? [withoutRemark(text)] : [...text.matchAll(codeSpan)].map((match) => match[1]!);
        // Within a sentence a word alone names a file.
        const commands = found.filter((one) => isCommand.test(one) && (block || one === 'make' || one.includes(' ')));
        return commands.map((command) => ({ page, line: at + 1, command }));
      });
  });
}

/** What a command does stands to its right, after some blanks or `#`. */
function withoutRemark(line: string): string {
  return line.trim().split(/\s{3,}|\s+#\s/)[0]!;
}

/** The first indented block of a page whose text holds `mark`, without its indent. */
export function blockWith(text: string, mark: string): string {
  const blocks = [...text.matchAll(/(?:^ {4}.*\n|^\n(?= {4}))+/gm)].map(([block]) => block.replaceAll(/^ {4}/gm, ''));
  const found = blocks.find((block) => block.includes(mark));
  if (found === undefined) throw new Error(`no block holds ${mark}`);
  return found;
}
