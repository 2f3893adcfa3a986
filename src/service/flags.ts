import { UsageError } from '../core/errors.ts';
import { keyOf, type Settings } from './settings.ts';
import { didYouMean } from './suggest.ts';

/** Flags as given, by setting name, and the ones that ask for text instead of a run. */
export type Flags = { given: Map<string, string[]>; show: 'help' | 'version' | 'print-config' | undefined };

const SHOW = {
  '--help': 'help',
  '-h': 'help',
  '--version': 'version',
  '-V': 'version',
  '--print-config': 'print-config',
} as const;

/**
 * Reads `--name value`, `--name=value`, `--name` and `--no-name`. A value may begin with one dash (`--index-patterns -logs*,*`), which
 * the usual parsers refuse; one that begins with two is taken for a flag forgotten its value. Throws UsageError.
 */
export function readFlags(argv: readonly string[], settings: Settings): Flags {
  const names = new Map(Object.keys(settings).map((name) => [`--${keyOf(name)}`, name]));
  const flags: Flags = { given: new Map(), show: undefined };
  for (let i = 0; i < argv.length; i++) {
    const [flag, inline] = split(argv[i]!);
    const show = SHOW[flag as keyof typeof SHOW];
    if (show !== undefined && inline === undefined) {
      if (flags.show !== 'help') flags.show = show;
      continue;
    }
    const denied = flag.startsWith('--no-') ? names.get(`--${flag.slice(5)}`) : undefined;
    const name = names.get(flag) ?? (denied !== undefined && settings[denied]!.kind.placeholder === '' ? denied : undefined);
    if (name === undefined) throw unknownFlag(flag, names.keys());
    const value = inline ?? (settings[name]!.kind.placeholder === '' ? String(name !== denied) : argv[++i]);
    if (value === undefined || (inline === undefined && value.startsWith('--'))) throw withoutValue(flag);
    flags.given.set(name, [...(flags.given.get(name) ?? []), value]);
  }
  return flags;
}

function split(argument: string): [flag: string, inline: string | undefined] {
  const equals = argument.indexOf('=');
  return argument.startsWith('--') && equals > 0
    ? [argument.slice(0, equals), argument.slice(equals + 1)]
    : [argument, undefined];
}

function unknownFlag(flag: string, known: Iterable<string>): UsageError {
  if (!flag.startsWith('-')) {
    return new UsageError(
      'UNEXPECTED_ARGUMENT',
      `unexpected argument "${flag}"`,
      'settings are flags: --name value or --name=value; --help lists them',
    );
  }
  const near = didYouMean(flag, [...known, ...Object.keys(SHOW)]);
  return new UsageError('UNKNOWN_FLAG', `unknown flag ${flag}${near}`, '--help lists all flags');
}

function withoutValue(flag: string): UsageError {
  return new UsageError(
    'VALUE_MISSING',
    `${flag} needs a value`,
    `write ${flag} VALUE, or ${flag}=VALUE if the value begins with --`,
  );
}
