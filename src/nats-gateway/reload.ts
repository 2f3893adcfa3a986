import { GatewayError } from '../core/errors.ts';
import { safeUrl } from '../core/safe-url.ts';
import { readInvocation } from '../service/config.ts';
import type { Environment, Origin } from '../service/resolve.ts';
import { keyOf } from '../service/settings.ts';
import { type GatewaySettings, gatewaySettings } from './config.ts';

type SettingName = keyof GatewaySettings;
export type InForce = { values: GatewaySettings; origins: Readonly<Record<string, Origin>> };
export type ReloadReport = {
  /** Keys of settings that changed and hold from now on. */
  changed: string[];
  /** Keys of settings that changed and take a restart. */
  needRestart: string[];
};

const names = Object.keys(gatewaySettings.settings) as SettingName[];
const live: ReadonlySet<string> = new Set<SettingName>([
  'includeIndices',
  'excludePatterns',
  'includeOperations',
  'includeTenants',
  'includeSubjects',
  'fieldFilters',
  'filterDeletes',
  'transforms',
  'routes',
  'maskKey',
]);

/** Reads all settings again, as at the start. Throws UsageError with everything that is wrong. */
export async function readAgain(argv: readonly string[], environment: Environment, version: string): Promise<InForce> {
  const invocation = await readInvocation(gatewaySettings, argv, environment, version);
  if (invocation.is === 'run') return invocation;
  throw new GatewayError('RELOAD_IMPOSSIBLE', 'the program was not started to run');
}

/** The settings in force after a reload: of what changed, the rules. */
export function merged(before: InForce, read: InForce): { after: InForce; report: ReloadReport } {
  const report: ReloadReport = { changed: [], needRestart: [] };
  const values: Record<string, unknown> = { ...before.values };
  const origins: Record<string, Origin> = { ...before.origins };
  for (const name of names) {
    if (JSON.stringify(before.values[name]) === JSON.stringify(read.values[name])) continue;
    (live.has(name) ? report.changed : report.needRestart).push(keyOf(name));
    if (!live.has(name)) continue;
    values[name] = read.values[name];
    origins[name] = read.origins[name];
  }
  return { after: { values: values as GatewaySettings, origins }, report };
}

/** Each setting by its key, as it would be written, and where it came from; secrets as `***`. */
export function shownSettings({ values, origins }: InForce): Record<string, { value: unknown; origin: string }> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = values[name];
      if (value === undefined) return [];
      const shown = gatewaySettings.settings[name].kind.show(value as never);
      const safe = typeof shown === 'string' ? safeUrl(shown) : shown.map(safeUrl);
      return [[keyOf(name), { value: safe, origin: origins[name] ?? 'default' }]];
    }),
  );
}
