import type { NatsSettings } from '../jetstream/index.ts';
import { natsSettingsOf } from '../jetstream/index.ts';
import { documentOperations } from '../core/event.ts';
import { commonSettings } from '../service/common-settings.ts';
import { boolean, bytes, duration, integer, listen, listOf, oneOf, path, secret, text, url } from '../service/kinds.ts';
import { natsRule } from '../service/nats-settings.ts';
import { defineSettings, group, setting, type SettingsOf } from '../service/settings.ts';
import { streamName } from '../service/stream-name.ts';
import { fieldFilters, routes, transforms } from './rule-settings.ts';

const natsUrls = () => listOf(url('nats', 'tls'), 1);

export const gatewaySettings = defineSettings(
  'nats-gateway',
  'filters, routes and transforms changes between two streams of NATS JetStream, with or without a NATS server of its own.',
  {
    ...group('NATS server of its own', {
      embedded: setting(boolean(), {
        help: 'Run a NATS server as a child; it is the upstream unless --upstream-url is given, else the downstream.',
        default: 'false',
      }),
      natsBinary: setting(path(), {
        help: 'The server’s program; if it is not there, nats-server is looked for beside this program and on PATH.',
        default: '/usr/bin/nats-server',
      }),
      natsListen: setting(listen(), { help: 'Where the server listens for clients.', default: '0.0.0.0:4222' }),
      storeDir: setting(path(), { help: 'Directory of its JetStream files, one a gateway.', default: '/data/jetstream' }),
      jsMaxMemory: setting(bytes('0'), { help: 'Most memory for streams that are kept in memory.', default: '64MB' }),
      jsMaxFile: setting(bytes('16MB'), { help: 'Most disk space for its streams.', default: '1GB' }),
      natsSync: setting(oneOf('always', '1s', '10s', '2m'), {
        help: 'When the server syncs to disk: always, or after so long; then a power cut takes what it has acknowledged since.',
        default: 'always',
      }),
      natsTlsCertFile: setting(path('FILE'), { help: 'PEM file of the server’s certificate: clients must then use TLS.' }),
      natsTlsKeyFile: setting(path('FILE'), { help: 'PEM file of the key to --nats-tls-cert-file.' }),
      natsTlsCaFile: setting(path('FILE'), { help: 'PEM file of the authority whose client certificates the server demands.' }),
    }),
    ...group('Upstream', {
      upstreamUrl: setting(natsUrls(), {
        help: 'NATS servers read from, comma-separated; several are servers of one cluster.',
        default: 'nats://localhost:4222',
      }),
      upstreamStream: setting(streamName(), {
        help: 'Stream read from; made if there is none. Without it ES_CHANGES, or, where both sides are one server, the downstream stream’s name with _RAW.',
      }),
      consumer: setting(streamName(), {
        help: 'Durable consumer; gateways with the same one and the same rules share the work.',
        default: 'nats-gateway',
      }),
      upstreamCredsFile: setting(path('FILE'), { help: 'Credentials file of the NATS user upstream (JWT and seed).' }),
      upstreamUser: setting(text('NAME'), {
        help: 'NATS user upstream. An embedded server demands the user, or token, of its side of all its clients.',
      }),
      upstreamPassword: setting(secret(), { help: 'NATS password upstream.' }),
      upstreamToken: setting(secret(), { help: 'NATS token upstream.' }),
      upstreamCaFile: setting(path('FILE'), {
        help: 'PEM file of the authority that signed the upstream servers’ certificates.',
      }),
      upstreamCertFile: setting(path('FILE'), { help: 'PEM file of the client certificate upstream.' }),
      upstreamKeyFile: setting(path('FILE'), { help: 'PEM file of the key to --upstream-cert-file.' }),
    }),
    ...group('Downstream', {
      downstreamUrl: setting(natsUrls(), { help: 'NATS servers written to, comma-separated; upstream’s without it.' }),
      downstreamStream: setting(streamName(), { help: 'Stream written to; made if there is none.', default: 'ES_CHANGES' }),
      streamMaxBytes: setting(bytes('1MB'), {
        help: 'Most that the downstream stream may hold; when it is full the gateway waits. Without it the limit of the NATS account.',
      }),
      streamKeep: setting(duration(), {
        help: 'How long messages downstream that every consumer has acknowledged are kept, while there is room.',
        default: '1h',
      }),
      streamReplicas: setting(integer(1, 5), { help: 'Replicas of streams that are made.', default: '1' }),
      downstreamCredsFile: setting(path('FILE'), { help: 'Credentials file of the NATS user downstream (JWT and seed).' }),
      downstreamUser: setting(text('NAME'), { help: 'NATS user downstream.' }),
      downstreamPassword: setting(secret(), { help: 'NATS password downstream.' }),
      downstreamToken: setting(secret(), { help: 'NATS token downstream.' }),
      downstreamCaFile: setting(path('FILE'), {
        help: 'PEM file of the authority that signed the downstream servers’ certificates.',
      }),
      downstreamCertFile: setting(path('FILE'), { help: 'PEM file of the client certificate downstream.' }),
      downstreamKeyFile: setting(path('FILE'), { help: 'PEM file of the key to --downstream-cert-file.' }),
    }),
    ...group('Filters, transforms and routes', {
      includeIndices: setting(listOf(text('PATTERN'), 1), {
        help: 'Index patterns that pass, with * and ?, comma-separated.',
        default: '*',
      }),
      excludePatterns: setting(listOf(text('PATTERN')), {
        help: 'Index patterns that do not pass, whatever includes them.',
        default: '',
      }),
      includeOperations: setting(listOf(oneOf(...documentOperations), 1), {
        help: 'Operations that pass. The end of a whole index passes where delete does.',
        default: documentOperations.join(','),
      }),
      includeTenants: setting(listOf(text('PATTERN'), 1), { help: 'Tenants that pass, with * and ?.', default: '*' }),
      includeSubjects: setting(listOf(text('SUBJECT'), 1), {
        help: 'Subjects that pass, with * and > as in NATS.',
        default: '>',
      }),
      fieldFilters: setting(fieldFilters(), {
        help: 'Conditions on fields that documents must meet to pass (docs/filters-and-transforms.md).',
        default: '[]',
      }),
      filterDeletes: setting(boolean(), {
        help: 'A document that does not meet the conditions is deleted downstream, as it may have met them before; if false nothing is sent.',
        default: 'true',
      }),
      transforms: setting(transforms(), {
        help: 'Changes to index names, tenants and fields (docs/filters-and-transforms.md).',
        default: '[]',
      }),
      routes: setting(routes(), {
        help: 'Shares of the stream that go elsewhere (docs/filters-and-transforms.md).',
        default: '[]',
      }),
      maskKey: setting(secret(), { help: 'Key of masks with: hash.' }),
      dlqStream: setting(streamName(), {
        help: 'Stream, upstream, of messages that cannot be read and documents that cannot be transformed.',
        default: 'ES_DLQ',
      }),
    }),
    ...group('Reading', {
      ackWait: setting(duration('1s', '1h'), {
        help: 'Time after which the stream delivers an unacknowledged message again.',
        default: '30s',
      }),
      inflightBytesMax: setting(bytes('64KB', '4GB'), {
        help: 'Most bytes read and not yet acknowledged downstream.',
        default: '8MB',
      }),
      inflightFramesMax: setting(integer(1, 100_000), { help: 'Most messages read and not yet acknowledged.', default: '128' }),
    }),
    ...group('Admin API', {
      adminDisabled: setting(boolean(), { help: 'Serve no admin API.', default: 'false' }),
      adminToken: setting(secret(), {
        help: 'Bearer token for all but health and metrics; without one, changes are accepted from this machine only.',
      }),
    }),
    ...commonSettings('0.0.0.0:8080'),
  },
  [
    ({ embedded, natsListen }) =>
      embedded && (natsListen === 'off' || natsListen.port === 0)
        ? '--nats-listen needs a host and a port with --embedded'
        : undefined,
    ({ natsTlsCertFile, natsTlsKeyFile }) =>
      (natsTlsCertFile === undefined) !== (natsTlsKeyFile === undefined)
        ? '--nats-tls-cert-file and --nats-tls-key-file belong together'
        : undefined,
    ({ natsTlsCertFile, natsTlsCaFile }) =>
      natsTlsCaFile !== undefined && natsTlsCertFile === undefined ? '--nats-tls-ca-file needs --nats-tls-cert-file' : undefined,
    (values) => loginRule('upstream', values),
    (values) => loginRule('downstream', values),
    ({ transforms, routes, maskKey }) =>
      maskKey === undefined &&
      [...transforms.rules, ...routes.rules.flatMap((route) => route.transforms)].some(
        ({ deed }) => deed.is === 'mask' && deed.mask.is === 'hash',
      )
        ? 'a mask with: hash needs --mask-key (MASK_KEY, MASK_KEY_FILE)'
        : undefined,
    ({ routes }) => {
      const names = routes.rules.map(({ name }) => name);
      const twice = names.find((name, at) => names.indexOf(name) !== at || name === mainOutput);
      return twice === undefined ? undefined : `two routes cannot have the name ${twice}, nor one the name ${mainOutput}`;
    },
  ],
);

/** The name of what goes downstream by no route, in figures and message ids. */
export const mainOutput = 'main';

/** Durations in ms, sizes in bytes. */
export type GatewaySettings = SettingsOf<typeof gatewaySettings.settings>;

const loginKeys = ['CredsFile', 'User', 'Password', 'Token', 'CaFile', 'CertFile', 'KeyFile'] as const;
type Side = 'upstream' | 'downstream';
type LoginValues<S extends Side> = Record<`${S}${(typeof loginKeys)[number]}`, string | undefined>;
type Login = Record<`nats${(typeof loginKeys)[number]}`, string | undefined>;

/** The login settings of one side under the names that all programs know them by. */
function loginOf<S extends Side>(side: S, values: LoginValues<S>): Login {
  return Object.fromEntries(loginKeys.map((key) => [`nats${key}`, values[`${side}${key}`]])) as Login;
}

function loginRule<S extends Side>(side: S, values: LoginValues<S>): string | undefined {
  return natsRule(loginOf(side, values))?.replaceAll('--nats-', `--${side}-`);
}

export function upstreamConnection(values: GatewaySettings, urls: readonly string[]): NatsSettings {
  return natsSettingsOf({ natsUrl: urls, ...loginOf('upstream', values) }, 'nats-gateway');
}

export function downstreamConnection(values: GatewaySettings, urls: readonly string[]): NatsSettings {
  return natsSettingsOf({ natsUrl: urls, ...loginOf('downstream', values) }, 'nats-gateway');
}
