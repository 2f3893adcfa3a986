import { join } from 'node:path';
import { type WatcherSettings, watcherSettings } from '../es-watcher/config.ts';
import { type WriterSettings, writerSettings } from '../es-writer/config.ts';
import { readSettingsFile } from '../service/file.ts';
import { resolve } from '../service/resolve.ts';
import type { Schema, Settings, SettingsOf } from '../service/settings.ts';
import { sideName, syncSettings, type SyncSettings } from './config.ts';

/** Where the two halves meet. */
export type Meeting = { natsUrl: string; natsToken: string };

export type Halves = { watcher: WatcherSettings; writer: WriterSettings };

/**
 * The settings of watcher and writer: es-sync's own, and for the rest what the file has in their sections. The environment is es-sync's
 * alone: a variable such as ES_HOSTS could mean either half. Throws UsageError.
 */
export async function halvesOf(settings: SyncSettings, meeting: Meeting): Promise<Halves> {
  const shared = { natsUrl: meeting.natsUrl, natsToken: meeting.natsToken };
  const watcher = {
    ...shared,
    ...sideOf('source', settings),
    indexPatterns: settings.indexPatterns.join(','),
    checkpointPath: join(settings.dataDir, 'checkpoint'),
  };
  const writer = {
    ...shared,
    ...sideOf('target', settings),
    rename: settings.rename.map(({ from, to }) => `${from}=${to}`).join(','),
  };
  // Together they end within the drain of the whole: the watcher gives up at once what is not published.
  const drainTimeout = String(Math.ceil(settings.drainTimeout * 0.6));
  return {
    watcher: await half(watcherSettings, watcher, settings.config),
    writer: await half(writerSettings, { ...writer, drainTimeout }, settings.config),
  };
}

async function half<S extends Settings>(
  schema: Schema<S>,
  given: Readonly<Record<string, string>>,
  path: string | undefined,
): Promise<SettingsOf<S>> {
  const file = path === undefined ? undefined : { path, given: await readSettingsFile(path, schema.program, schema.settings) };
  const flags = new Map(Object.entries(given).map(([name, value]) => [name, [value]]));
  return resolve(schema, { flags, environment: {}, file }).values;
}

/** The settings of a cluster that have a value, as text, under the names that the half knows them by. */
function sideOf(side: 'source' | 'target', settings: SyncSettings): Record<string, string> {
  const values = settings as unknown as Readonly<Record<string, unknown>>;
  const given = Object.keys(watcherSettings.settings)
    .filter((name) => name.startsWith('es'))
    .map((name) => [name, values[sideName(side, name)], syncSettings.settings[sideName(side, name) as 'source']] as const)
    .filter(([, value]) => value !== undefined)
    .map(([name, value, { kind }]) => [
      name,
      kind.secret === true ? String(value) : [kind.show(value as string[])].flat().join(','),
    ]);
  return Object.fromEntries(given) as Record<string, string>;
}
