import { readFileSync } from 'node:fs';
import { GatewayError } from '../core/errors.ts';
import type { Auth } from './auth.ts';
import type { ClientOptions } from './client.ts';

/** The settings of a cluster, as every program has them. */
type ElasticValues = {
  esHosts: readonly string[];
  esUsername: string | undefined;
  esPassword: string | undefined;
  esApiKey: string | undefined;
  esAwsRegion: string | undefined;
  esAwsService: 'es' | 'aoss';
  esCaFile: string | undefined;
  esInsecureTls: boolean;
  esTimeout: number;
};

export function clientOptionsOf(values: ElasticValues): ClientOptions {
  const auth = authOf(values);
  return {
    hosts: values.esHosts,
    timeoutMs: values.esTimeout,
    ...(auth === undefined ? {} : { auth }),
    tls: { verify: !values.esInsecureTls, ...(values.esCaFile === undefined ? {} : { ca: readAuthority(values.esCaFile) }) },
  };
}

function authOf(values: ElasticValues): Auth | undefined {
  if (values.esApiKey !== undefined) return { kind: 'apiKey', key: values.esApiKey };
  if (values.esAwsRegion !== undefined) return { kind: 'sigv4', service: values.esAwsService, region: values.esAwsRegion };
  if (values.esUsername !== undefined) return { kind: 'basic', user: values.esUsername, password: values.esPassword ?? '' };
  return undefined;
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new GatewayError('ES_CA_FILE', `the file ${file} of --es-ca-file (ES_CA_FILE) cannot be read`, {
      hint: 'give the path of a PEM file that this user can read',
      cause: error,
    });
  }
}
