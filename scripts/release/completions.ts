import { keyOf, type Schema, type Setting } from '../../src/service/settings.ts';

/** One word a command line may have: a flag, what it takes, and what it is for. */
type Flag = { flag: string; takes: 'nothing' | 'a value' | 'a path' | readonly string[]; help: string };

const asking: readonly Flag[] = [
  { flag: '--help', takes: 'nothing', help: 'Print the flags and exit.' },
  { flag: '--version', takes: 'nothing', help: 'Print the version and exit.' },
  { flag: '--print-config', takes: 'nothing', help: 'Print the settings in force and exit.' },
];

/** Completions of all programs, by file below `completions/`: names of flags, words they choose from, and paths. */
export function completions(schemas: readonly Schema[]): Map<string, string> {
  return new Map([
    ['bash/es-sync', bash(schemas)],
    ['zsh/_es-sync', zsh(schemas)],
    ['fish/es-sync.fish', fish(schemas)],
  ]);
}

function flagsOf(schema: Schema): Flag[] {
  return [...Object.entries(schema.settings).map(([name, each]) => flagOf(name, each)), ...asking];
}

function flagOf(name: string, { kind, help }: Setting<unknown>): Flag {
  const { placeholder } = kind;
  const words = /^[\w-]+(\|[\w-]+)+$/.test(placeholder) ? placeholder.split('|') : undefined;
  const takes = placeholder === '' ? 'nothing' : (words ?? (/^(PATH|FILE)$/.test(placeholder) ? 'a path' : 'a value'));
  return { flag: `--${keyOf(name)}`, takes, help: help.split(/[.;]/, 1)[0]! };
}

/** How a schema's program is called as a command of es-sync: `run` for es-sync's own. */
function commandOf(schema: Schema): string {
  return schema.command?.split(' ')[1] ?? schema.program;
}

/** Programs that may be called by a name of their own. */
function alone(schemas: readonly Schema[]): Schema[] {
  return schemas.filter((schema) => schema.command === undefined);
}

function bash(schemas: readonly Schema[]): string {
  const cases = schemas.flatMap((schema) => {
    const flags = flagsOf(schema);
    const values = flags.flatMap(({ flag, takes }) =>
      takes === 'nothing' ? [] : [`      ${commandOf(schema)}:${flag}) ${bashValues(takes)}; return ;;`],
    );
    return { names: `      ${commandOf(schema)}) words='${flags.map(({ flag }) => flag).join(' ')}' ;;`, values };
  });
  return `# Completion of es-sync and its programs for bash.
_es_sync() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[0]##*/} words=
  if [ "$command" = es-sync ]; then
    if [ "$COMP_CWORD" = 1 ]; then
      COMPREPLY=($(compgen -W '${schemas.map(commandOf).join(' ')} --help --version' -- "$word"))
      return
    fi
    command=\${COMP_WORDS[1]}
  fi
  case $command:$before in
${cases.flatMap(({ values }) => values).join('\n')}
  esac
  case $command in
${cases.map(({ names }) => names).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _es_sync es-sync ${alone(schemas)
    .map(({ program }) => program)
    .join(' ')}
`;
}

function bashValues(takes: Exclude<Flag['takes'], 'nothing'>): string {
  if (takes === 'a value') return 'COMPREPLY=()';
  return takes === 'a path'
    ? 'COMPREPLY=($(compgen -f -- "$word"))'
    : `COMPREPLY=($(compgen -W '${takes.join(' ')}' -- "$word"))`;
}

function zsh(schemas: readonly Schema[]): string {
  const functions = schemas.map((schema) => {
    const lines = flagsOf(schema).map(({ flag, takes, help }) => `    '${flag}[${zshText(help)}]${zshValues(takes)}'`);
    return `_es_sync_${commandOf(schema).replaceAll('-', '_')}() {\n  _arguments \\\n${lines.join(' \\\n')}\n}`;
  });
  const calls = schemas.map((schema) => `    ${commandOf(schema)}) _es_sync_${commandOf(schema).replaceAll('-', '_')} ;;`);
  return `#compdef es-sync ${alone(schemas)
    .map(({ program }) => program)
    .join(' ')}
# Completion of es-sync and its programs for zsh.
${functions.join('\n')}
_es_sync() {
  local command=\${words[1]:t}
  if [[ $command == es-sync ]]; then
    if (( CURRENT == 2 )); then
      compadd ${schemas.map(commandOf).join(' ')} --help --version
      return
    fi
    command=\${words[2]}
    shift words
    (( CURRENT-- ))
  fi
  case $command in
${calls.join('\n')}
  esac
}
_es_sync "$@"
`;
}

/** What has a meaning to zsh within a description, taken out of it. */
function zshText(text: string): string {
  return text.replaceAll("'", '’').replaceAll(/[[\]:\\`]/g, ' ');
}

function zshValues(takes: Flag['takes']): string {
  if (takes === 'nothing') return '';
  if (takes === 'a value') return ':value: ';
  return takes === 'a path' ? ':path:_files' : `:value:(${takes.join(' ')})`;
}

function fish(schemas: readonly Schema[]): string {
  const commands = schemas.map(
    (schema) => `complete -c es-sync -f -n __fish_use_subcommand -a ${commandOf(schema)} -d '${fishText(schema.summary)}'`,
  );
  const flags = schemas.flatMap((schema) =>
    flagsOf(schema).flatMap(({ flag, takes, help }) => {
      const rest = `-l ${flag.slice(2)}${fishValues(takes)} -d '${fishText(help)}'`;
      const own = schema.command === undefined ? [`complete -c ${schema.program} ${rest}`] : [];
      return [`complete -c es-sync -n '__fish_seen_subcommand_from ${commandOf(schema)}' ${rest}`, ...own];
    }),
  );
  return `# Completion of es-sync and its programs for fish.\n${[...commands, ...flags].join('\n')}\n`;
}

function fishText(text: string): string {
  return text.replaceAll('\\', '').replaceAll("'", '’');
}

function fishValues(takes: Flag['takes']): string {
  if (takes === 'nothing') return '';
  if (takes === 'a value') return ' -x';
  return takes === 'a path' ? ' -r -F' : ` -x -a '${takes.join(' ')}'`;
}
