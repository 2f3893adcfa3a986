import { boolean, duration, listOf, oneOf, path, secret, text, url } from './kinds.ts';
import { group, setting } from './settings.ts';

/** How to reach a cluster, source or target: flags of the same names in each program. `which` completes the help. */
export function elasticSettings(heading: string, which: string) {
  return group(heading, {
    esHosts: setting(listOf(url('http', 'https'), 1), {
      help: `Hosts of the ${which} cluster, comma-separated; used in turn, a dead one is skipped and tried again.`,
      default: 'http://localhost:9200',
    }),
    esUsername: setting(text('NAME'), { help: 'User name (basic authentication).' }),
    esPassword: setting(secret(), { help: 'Password of --es-username.' }),
    esApiKey: setting(secret(), { help: 'API key, encoded as the cluster gave it out (Elasticsearch).' }),
    esAwsRegion: setting(text('REGION'), {
      help: 'Sign requests for this AWS region (SigV4), with the credentials of the environment, for Amazon OpenSearch Service.',
    }),
    esAwsService: setting(oneOf('es', 'aoss'), {
      help: 'AWS service name in signatures: es for domains, aoss for serverless collections.',
      default: 'es',
    }),
    esCaFile: setting(path('FILE'), { help: 'PEM file of the authority that signed the hosts’ certificates.' }),
    esInsecureTls: setting(boolean(), { help: 'Accept any certificate. For tests only.', default: 'false' }),
    esTimeout: setting(duration('1s', '1h'), { help: 'Longest wait for one answer.', default: '60s' }),
  });
}

type ElasticValues = {
  esUsername: string | undefined;
  esPassword: string | undefined;
  esApiKey: string | undefined;
  esAwsRegion: string | undefined;
};

/** Half a pair, or two ways to log in at once. */
export function elasticRule(values: ElasticValues): string | undefined {
  if ((values.esUsername === undefined) !== (values.esPassword === undefined))
    return '--es-username and --es-password belong together';
  const ways = [values.esUsername, values.esApiKey, values.esAwsRegion].filter((way) => way !== undefined);
  return ways.length > 1 ? 'give one of --es-username, --es-api-key and --es-aws-region' : undefined;
}
