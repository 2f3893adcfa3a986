import { existsSync } from 'node:fs';
import { readFlags } from './flags.ts';
import { resolve, type Environment, type Resolved } from './resolve.ts';
import type { Schema, Settings } from './settings.ts';

/** What a command line asks for: text on stdout, or a run with these settings. */
export type Invocation<S extends Settings> = { is: 'text'; text: string } | ({ is: 'run' } & Resolved<S>);

/**
 * Reads flags, environment and file by one schema. Nothing but what the command line asks for is loaded: help, YAML and printing
 * come as modules of their own. Throws UsageError.
 */
export async function readInvocation<S extends Settings>(
  schema: Schema<S>,
  argv: readonly string[],
  environment: Environment,
  version: string,
): Promise<Invocation<S>> {
  const { given, show } = readFlags(argv, schema.settings);
  if (show === 'help') return { is: 'text', text: (await import('./help.ts')).helpText(schema as Schema, version) };
  if (show === 'version') return { is: 'text', text: `${schema.program} ${version}\n` };
  const path = given.get('config')?.at(-1) ?? (environment['CONFIG'] || undefined) ?? standing(schema.configFile);
  const file =
    path === undefined
      ? undefined
      : { path, given: await (await import('./file.ts')).readSettingsFile(path, schema.program, schema.settings) };
  const resolved = resolve(given.has('probe') ? probed(schema) : schema, { flags: given, environment, file });
  if (show === 'print-config') return { is: 'text', text: (await import('./print.ts')).printConfig(schema, resolved) };
  return { is: 'run', ...resolved };
}

/** A probe needs to know where to ask: whether everything else is right is for the program that runs. */
function probed<S extends Settings>(schema: Schema<S>): Schema<S> {
  const wanted = Object.entries(schema.settings).filter(
    ([name]) => name === 'probe' || name === 'adminListen' || name === 'listen',
  );
  return { ...schema, settings: Object.fromEntries(wanted) as unknown as S, rules: [] };
}

function standing(path: string | undefined): string | undefined {
  return path !== undefined && existsSync(path) ? path : undefined;
}
