import { commonSettings } from '../service/common-settings.ts';
import { elasticRule, elasticSettings } from '../service/elastic-settings.ts';
import { bytes, listen, listOf, oneOf, path, secret, text, url } from '../service/kinds.ts';
import { renameRule } from '../service/rename-rule.ts';
import { defineSettings, group, setting, type Setting, type Settings, type SettingsOf } from '../service/settings.ts';

type Side = 'source' | 'target';

const headings = { source: 'Source cluster', target: 'Target cluster' } as const;

type ElasticSettings = ReturnType<typeof elasticSettings>;
/** `esUsername` of the source is `sourceUsername`. */
type SideSettings<S extends Side> = {
  [K in Exclude<keyof ElasticSettings, 'esHosts'> as K extends `es${infer Rest}` ? `${S}${Rest}` : never]: ElasticSettings[K];
};

/** The settings of a cluster as every program has them, under the name of the side. */
function sideSettings<S extends Side>(side: S): SideSettings<S> {
  const settings: Settings = elasticSettings(headings[side], side);
  const others = Object.entries(settings).filter(([name]) => name !== 'esHosts');
  const renamed = others.map(([name, each]) => [
    sideName(side, name),
    { ...each, help: each.help.replaceAll('--es-', `--${side}-`) } satisfies Setting<unknown>,
  ]);
  return Object.fromEntries(renamed) as SideSettings<S>;
}

/** `esUsername` is `sourceUsername`, `esHosts` is `source`. */
export function sideName(side: Side, elasticName: string): string {
  return elasticName === 'esHosts' ? side : elasticName.replace(/^es/, side);
}

function hosts(which: string) {
  return setting(listOf(url('http', 'https'), 1), {
    help: `Hosts of the ${which} cluster, comma-separated; used in turn, a dead one is skipped and tried again. Must be given.`,
  });
}

export const syncSettings = {
  ...defineSettings(
    'es-sync',
    'follows a cluster with another one: es-watcher, a NATS server and es-writer in one process.',
    {
      ...group(headings.source, { source: hosts('source') }),
      ...sideSettings('source'),
      ...group(headings.target, { target: hosts('target') }),
      ...sideSettings('target'),
      ...group('What is followed', {
        indexPatterns: setting(listOf(text('PATTERN'), 1), {
          help: 'Index patterns, comma-separated; one that begins with - excludes. System and hidden indices only when named.',
          default: '*',
        }),
        rename: setting(listOf(renameRule()), {
          help: 'Index names at the target, FROM=TO, comma-separated; each * in FROM is $1, $2 … in TO; the first that fits is taken.',
          default: '',
        }),
        dataDir: setting(path(), {
          help: 'Directory of everything that is kept: the checkpoint and the files of the NATS server; one an es-sync.',
          default: '/data',
        }),
      }),
      ...group('NATS server', {
        natsBinary: setting(path(), {
          help: 'The server’s program; if it is not there, nats-server is looked for beside this program and on PATH.',
          default: '/usr/bin/nats-server',
        }),
        natsListen: setting(listen(), {
          help: 'Where the server listens; port 0 takes a free one.',
          default: '127.0.0.1:0',
        }),
        natsToken: setting(secret(), {
          help: 'Token that the server demands of its clients; without one nobody but this process can connect.',
        }),
        jsMaxFile: setting(bytes('16MB'), {
          help: 'Most disk space for changes that are not at the target yet.',
          default: '10GB',
        }),
        natsSync: setting(oneOf('always', '1s', '10s', '2m'), {
          help: 'When the server syncs to disk: always, or after so long; then a power cut takes what it has acknowledged since.',
          default: 'always',
        }),
      }),
      ...commonSettings('127.0.0.1:8080'),
    },
    [
      ({ source, target }) => (source === undefined || target === undefined ? 'give --source URL and --target URL' : undefined),
      ({ natsListen }) => (natsListen === 'off' ? '--nats-listen needs a host and a port' : undefined),
      (values) => loginRule('source', values),
      (values) => loginRule('target', values),
    ],
  ),
  command: 'es-sync run',
};

/** Durations in ms, sizes in bytes. */
export type SyncSettings = SettingsOf<typeof syncSettings.settings>;

const loginNames = ['esUsername', 'esPassword', 'esApiKey', 'esAwsRegion'] as const;
type Login = Record<(typeof loginNames)[number], string | undefined>;

function loginRule(side: Side, values: object): string | undefined {
  const given = values as Readonly<Record<string, string | undefined>>;
  const login = Object.fromEntries(loginNames.map((name) => [name, given[sideName(side, name)]])) as Login;
  return elasticRule(login)?.replaceAll('--es-', `--${side}-`);
}
