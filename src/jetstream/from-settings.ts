import type { NatsSettings } from './connect.ts';

/** The settings of NATS, as every program has them. */
type NatsValues = {
  natsUrl: readonly string[];
  natsCredsFile: string | undefined;
  natsNkeyFile?: string | undefined;
  natsUser: string | undefined;
  natsPassword: string | undefined;
  natsToken: string | undefined;
  natsCaFile: string | undefined;
  natsCertFile: string | undefined;
  natsKeyFile: string | undefined;
};

/** `name` is what the server shows of the connection. */
export function natsSettingsOf(values: NatsValues, name: string): NatsSettings {
  const tls = { caFile: values.natsCaFile, certFile: values.natsCertFile, keyFile: values.natsKeyFile };
  return {
    urls: values.natsUrl,
    name,
    ...given({
      user: values.natsUser,
      password: values.natsPassword,
      token: values.natsToken,
      credsFile: values.natsCredsFile,
      nkeyFile: values.natsNkeyFile,
    }),
    ...(Object.values(tls).some((file) => file !== undefined) ? { tls: given(tls) } : {}),
  };
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the keys that have no value. */
function given<T extends object>(values: T): Given<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Given<T>;
}
