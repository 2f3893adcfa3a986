import { listOf, path, secret, text, url } from './kinds.ts';
import { group, setting } from './settings.ts';

/** How to reach NATS: the same for every program, so these may stand at the top level of the file. */
export const natsSettings = group('NATS', {
  natsUrl: setting(listOf(url('nats', 'tls'), 1), {
    help: 'NATS servers, comma-separated; several are servers of one cluster.',
    default: 'nats://localhost:4222',
    common: true,
  }),
  natsCredsFile: setting(path('FILE'), { help: 'Credentials file of a NATS user (JWT and seed).', common: true }),
  natsNkeyFile: setting(path('FILE'), { help: 'File with the nkey seed of a NATS user.', common: true }),
  natsUser: setting(text('NAME'), { help: 'NATS user name.', common: true }),
  natsPassword: setting(secret(), { help: 'NATS password.', common: true }),
  natsToken: setting(secret(), { help: 'NATS token.', common: true }),
  natsCaFile: setting(path('FILE'), { help: 'PEM file of the authority that signed the servers’ certificates.', common: true }),
  natsCertFile: setting(path('FILE'), { help: 'PEM file of the client certificate.', common: true }),
  natsKeyFile: setting(path('FILE'), { help: 'PEM file of the key to --nats-cert-file.', common: true }),
});

type NatsValues = {
  natsCredsFile: string | undefined;
  /** A side of the gateway has none. */
  natsNkeyFile?: string | undefined;
  natsUser: string | undefined;
  natsPassword: string | undefined;
  natsToken: string | undefined;
  natsCertFile: string | undefined;
  natsKeyFile: string | undefined;
};

/** Half a pair, or two ways to log in at once. */
export function natsRule(values: NatsValues): string | undefined {
  if ((values.natsUser === undefined) !== (values.natsPassword === undefined))
    return '--nats-user and --nats-password belong together';
  if ((values.natsCertFile === undefined) !== (values.natsKeyFile === undefined))
    return '--nats-cert-file and --nats-key-file belong together';
  const ways = [values.natsCredsFile, values.natsNkeyFile, values.natsUser, values.natsToken].filter((way) => way !== undefined);
  return ways.length > 1 ? 'give one of --nats-creds-file, --nats-nkey-file, --nats-user and --nats-token' : undefined;
}
