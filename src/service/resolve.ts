import { readFileSync } from 'node:fs';
import { UsageError } from '../core/errors.ts';
import { safeUrl } from '../core/safe-url.ts';
import type { Given } from './kinds.ts';
import {
  inEnvironment,
  inFile,
  keyOf,
  variableOf,
  type Schema,
  type Setting,
  type Settings,
  type SettingsOf,
} from './settings.ts';

/** Where a value came from: `default`, `--flag`, `VARIABLE`, the file's path; undefined where there is no value. */
export type Origin = string | undefined;

export type Resolved<S extends Settings> = { values: SettingsOf<S>; origins: Record<keyof S, Origin>; secrets: string[] };

export type Environment = Readonly<Record<string, string | undefined>>;

/** The layers a value is looked for in, strongest first. */
export type Layers = {
  flags: ReadonlyMap<string, readonly string[]>;
  environment: Environment;
  file: { path: string; given: ReadonlyMap<string, Given> } | undefined;
};

/** Flags over environment over file over defaults. Throws one UsageError that lists everything that is wrong. */
export function resolve<S extends Settings>(schema: Schema<S>, layers: Layers): Resolved<S> {
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  const secrets: string[] = [];
  const problems: string[] = [];
  for (const [name, each] of Object.entries(schema.settings)) {
    const found = find(name, each, layers);
    origins[name] = found?.origin;
    if (found === undefined) continue;
    const parsed = each.kind.parse(found.given);
    if ('wrong' in parsed) problems.push(wrongValue(name, each, found, parsed.wrong));
    else {
      values[name] = parsed.value;
      if (each.kind.secret === true && typeof found.given === 'string') secrets.push(found.given);
    }
  }
  if (problems.length === 0) problems.push(...schema.rules.flatMap((rule) => rule(values as SettingsOf<S>) ?? []));
  if (problems.length > 0) {
    throw new UsageError(
      'SETTING_WRONG',
      problems.join('\n'),
      `${schema.command ?? schema.program} --help lists what each setting takes`,
    );
  }
  return { values: values as SettingsOf<S>, origins: origins as Record<keyof S, Origin>, secrets };
}

type Found = { given: Given; origin: string };

function find(name: string, each: Setting<unknown>, { flags, environment, file }: Layers): Found | undefined {
  const flag = flags.get(name);
  if (flag !== undefined) return { given: each.kind.many === true ? flag.join(',') : flag.at(-1)!, origin: `--${keyOf(name)}` };
  const fromVariable = inEnvironment(each) ? findVariable(variableOf(name, each), each, environment) : undefined;
  if (fromVariable !== undefined) return fromVariable;
  const given = file?.given.get(name);
  if (file !== undefined && given !== undefined) return { given, origin: file.path };
  return each.default === undefined ? undefined : { given: each.default, origin: 'default' };
}

/** An empty variable counts as unset: compose files and charts pass on variables that nobody has set. */
function findVariable(variable: string, each: Setting<unknown>, environment: Environment): Found | undefined {
  const given = environment[variable] || undefined;
  const file = (each.kind.secret === true && environment[`${variable}_FILE`]) || undefined;
  if (given !== undefined && file !== undefined) {
    throw new UsageError('SETTING_WRONG', `${variable} and ${variable}_FILE are both set`, 'unset one of them');
  }
  if (file !== undefined) return { given: readSecret(`${variable}_FILE`, file), origin: `${variable}_FILE` };
  return given === undefined ? undefined : { given, origin: variable };
}

/** Without the line break that an editor or `echo` leaves at the end. */
function readSecret(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new UsageError('SETTING_WRONG', `cannot read the file that ${variable} names: ${(error as Error).message}`);
  }
}

/** Names the setting by every name it has, as the reader may not have written the one at fault. */
function wrongValue(name: string, each: Setting<unknown>, { given, origin }: Found, wrong: string): string {
  // A password with a slash in it is one reason for a URL to be wrong, and must not be shown for that.
  const value = each.kind.secret === true ? '***' : safeUrl(showGiven(given)).replace(/:\/\/[^\s,]*@/g, '://***@');
  const flag = `--${keyOf(name)}`;
  const source = origin === flag ? '' : ` from ${origin}`;
  const names = [
    flag,
    ...(inEnvironment(each) ? [variableOf(name, each)] : []),
    ...(inFile(each) ? [`${keyOf(name)}: in the file`] : []),
  ].join(', ');
  return `${keyOf(name)} takes ${wrong}; given was "${value}"${source} (set by ${names})`;
}

function showGiven(given: Given): string {
  if (typeof given === 'string') return given;
  return Array.isArray(given) ? given.map(showGiven).join(',') : JSON.stringify(given);
}
