import { safeUrl } from '../core/safe-url.ts';
import type { Resolved } from './resolve.ts';
import { inFile, keyOf, type Schema, type Setting, type Settings } from './settings.ts';
import { yamlValue } from './yaml-text.ts';

/** The settings in force as a YAML file that `--config` reads back, each with where it came from; secrets as `***`. */
export function printConfig<S extends Settings>(schema: Schema<S>, resolved: Resolved<S>): string {
  const shown = Object.entries(schema.settings).filter(([, each]) => inFile(each));
  const line = ([name, each]: [string, Setting<unknown>]) => {
    const value = (resolved.values as Record<string, unknown>)[name];
    if (value === undefined) return { text: `# ${keyOf(name)}:`, origin: 'not set' };
    return { text: `${keyOf(name)}: ${yamlValue(showValue(each, value))}`, origin: resolved.origins[name] ?? 'default' };
  };
  const common = shown.filter(([, each]) => each.common === true).map(line);
  const own = shown.filter(([, each]) => each.common !== true).map(line);
  const rows = [...common, { text: `${schema.program}:`, origin: '' }, ...own.map((row) => ({ ...row, text: `  ${row.text}` }))];
  return `${rows.map(({ text, origin }) => (origin === '' ? text : `${text.padEnd(47)} # ${origin}`)).join('\n')}\n`;
}

function showValue(each: Setting<unknown>, value: unknown): string | readonly string[] {
  const shown = each.kind.show(value as object);
  return typeof shown === 'string' ? safeUrl(shown) : shown.map(safeUrl);
}
