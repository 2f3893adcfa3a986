import type { Kind } from './kinds.ts';

/** How a setting is offered, apart from its kind. Values are written as a user would write them. */
export type SettingOptions = {
  /** One or two plain sentences for `--help` and the reference page, without the default. */
  help: string;
  /** Text of the default; without one the setting may be absent and its value is undefined. */
  default?: string;
  /** May stand at the top level of the file, for every program that reads it. */
  common?: true;
  /** Name in the environment, where another one than the flag's is customary. */
  variable?: string;
  /** Where else than on the command line it may stand; everywhere if absent. */
  elsewhere?: 'nowhere' | 'environment';
};

export type Setting<T> = SettingOptions & { readonly kind: Kind<NonNullable<T>>; readonly group?: string };
export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** The values a program gets: numbers for durations (ms) and sizes (bytes). */
export type SettingsOf<S> = { -readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/** Says what is wrong with settings that are each right, or undefined. Names settings by flag. */
export type Rule<V> = (values: V) => string | undefined;

/** Everything there is to know of a program's settings. Flags, variables and keys are derived from the property names. */
export type Schema<S extends Settings = Settings> = {
  readonly program: string;
  /** How it is called, where that is more than its name. */
  readonly command?: string;
  readonly summary: string;
  readonly settings: S;
  readonly rules: readonly Rule<SettingsOf<S>>[];
  /** Settings file that is read where it exists and --config names no other. */
  readonly configFile?: string;
};

/** `kind` says how the value is written, `options` how it is offered. */
export function setting<T, const O extends SettingOptions>(
  kind: Kind<T>,
  options: O,
): Setting<O extends { default: string } ? T : T | undefined> {
  return { kind, ...options } as Setting<O extends { default: string } ? T : T | undefined>;
}

/** Puts settings under one heading in help and reference. */
export function group<S extends Settings>(heading: string, settings: S): S {
  return Object.fromEntries(Object.entries(settings).map(([name, each]) => [name, { ...each, group: heading }])) as unknown as S;
}

/** One schema a program: it gives flags, variables, file keys, defaults, help, the reference page and `--print-config`. */
export function defineSettings<S extends Settings>(
  program: string,
  summary: string,
  settings: S,
  rules: readonly Rule<SettingsOf<S>>[] = [],
): Schema<S> {
  return { program, summary, settings, rules };
}

export function inEnvironment(each: Setting<unknown>): boolean {
  return each.elsewhere !== 'nowhere';
}

export function inFile(each: Setting<unknown>): boolean {
  return each.elsewhere === undefined;
}

/** `pollInterval` is `poll-interval` in the file and `--poll-interval` on the command line. */
export function keyOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `pollInterval` is `POLL_INTERVAL` in the environment, unless the setting says otherwise. */
export function variableOf(name: string, each: SettingOptions): string {
  return each.variable ?? keyOf(name).replaceAll('-', '_').toUpperCase();
}
