import { inEnvironment, keyOf, variableOf, type Schema, type Setting } from './settings.ts';

const COLUMNS = 100;
const FLAG_COLUMNS = 34;

const ASKS: readonly (readonly [flag: string, help: string])[] = [
  ['--help', 'Print this and exit.'],
  ['--version', 'Print the version and exit.'],
  ['--print-config', 'Print the settings in force as YAML, each with where it came from, secrets as ***, and exit.'],
];

const NOTES = [
  'A flag wins over the environment, the environment over the file, the file over the default. Every flag is --name VALUE or --name=VALUE; switches are --name or --no-name. An empty variable counts as unset.',
  'DURATION is milliseconds, or a number with ms, s, m, h, d. SIZE is bytes, or a number with KB, MB, GB (powers of 1024). Lists are comma-separated.',
];

/** What `--help` prints, 100 columns wide. */
export function helpText(schema: Schema, version: string): string {
  const lines = [
    ...wrap(`${schema.program} ${version}: ${schema.summary}`, 0),
    '',
    `Usage: ${schema.command ?? schema.program} [flags]`,
  ];
  for (const [heading, settings] of grouped(schema)) {
    lines.push(
      '',
      heading,
      ...settings.flatMap(([name, each]) => entry(flagOf(name, each), `${each.help} ${facts(name, each)}`.trim())),
    );
  }
  lines.push('', 'Asking', ...ASKS.flatMap(([flag, help]) => entry(flag, help)), '', ...NOTES.flatMap((note) => wrap(note, 0)));
  return `${lines.join('\n')}\n`;
}

/** Settings by heading, in the order of the schema. */
export function grouped(schema: Schema): Map<string, [string, Setting<unknown>][]> {
  return Map.groupBy(Object.entries(schema.settings), ([, each]) => each.group ?? 'Program');
}

function flagOf(name: string, each: Setting<unknown>): string {
  return `--${keyOf(name)} ${each.kind.placeholder}`.trim();
}

function facts(name: string, each: Setting<unknown>): string {
  const variable = variableOf(name, each);
  const parts = !inEnvironment(each) ? [] : [each.kind.secret === true ? `${variable} or ${variable}_FILE` : variable];
  if (each.default !== undefined && each.default !== '' && inEnvironment(each)) parts.push(`default ${each.default}`);
  return parts.length === 0 ? '' : `[${parts.join(', ')}]`;
}

function entry(flag: string, help: string): string[] {
  const lines = wrap(help, FLAG_COLUMNS);
  const head = `  ${flag}`;
  if (head.length >= FLAG_COLUMNS) return [head, ...lines];
  return [head.padEnd(FLAG_COLUMNS) + lines[0]!.slice(FLAG_COLUMNS), ...lines.slice(1)];
}

function wrap(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > COLUMNS) {
      lines.push(' '.repeat(indent) + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, ' '.repeat(indent) + line];
}
