import { programSettings } from '../service/common-settings.ts';
import { boolean, bytes, duration, integer, listen, path, secret, text, url } from '../service/kinds.ts';
import { natsRule, natsSettings } from '../service/nats-settings.ts';
import { defineSettings, group, setting, type SettingsOf } from '../service/settings.ts';
import { streamName } from '../service/stream-name.ts';

export const defaultServer = 'http://localhost:8080';

const schema = defineSettings(
  'nats3',
  'archives streams of NATS JetStream in S3 storage and publishes them again: the server; jobs are given to it by its HTTP API.',
  {
    ...group('HTTP API', {
      listen: setting(listen(), {
        help: 'Address of the API, of /health, /health/live, /health/ready, /stats and /metrics; port 0 takes a free one.',
        default: '0.0.0.0:8080',
        variable: 'NATS3_LISTEN',
      }),
      token: setting(secret(), {
        help: 'Bearer token that every request but those for health and metrics must carry.',
        variable: 'NATS3_TOKEN',
      }),
    }),
    ...natsSettings,
    ...group('S3 storage', {
      s3Endpoint: setting(url('http', 'https'), { help: 'Address of the storage; Amazon’s own without it.' }),
      s3Region: setting(text('REGION'), {
        help: 'Region of the buckets; what the AWS profile says without it, else us-east-1.',
        variable: 'AWS_REGION',
      }),
      s3PathStyle: setting(boolean(), {
        help: 'The bucket stands in the path and not in the host name: for most servers but Amazon’s. True where --s3-endpoint is given, unless denied.',
      }),
      s3CaFile: setting(path('FILE'), { help: 'PEM file of the authority that signed the storage’s certificate.' }),
      s3Timeout: setting(duration('1s', '1h'), { help: 'Longest silence of the storage in one request.', default: '30s' }),
    }),
    ...group('Jobs', {
      kvBucket: setting(streamName(), {
        help: 'Key-value bucket of JetStream that holds jobs and how far they are; made if there is none. Servers that share it share the jobs.',
        default: 'nats3',
      }),
      kvReplicas: setting(integer(1, 5), { help: 'Replicas of that bucket, if it is made.', default: '1' }),
      leaseTimeout: setting(duration('1s', '10m'), {
        help: 'A job whose server has not been heard of for so long is taken over by another one.',
        default: '10s',
      }),
      jobsMax: setting(integer(1, 1_000), { help: 'Most jobs that this server runs at once.', default: '64' }),
    }),
    ...group('Limits of one job', {
      inflightBytesMax: setting(bytes('8MB', '4GB'), {
        help: 'Most bytes of messages that are read and not yet stored, or published and not yet acknowledged.',
        default: '24MB',
      }),
      uploadsMax: setting(integer(1, 32), { help: 'Most blocks that are uploaded at once.', default: '4' }),
    }),
    ...programSettings,
  },
  [natsRule, ({ listen: address }) => (address === 'off' ? '--listen needs an address: the API is the program' : undefined)],
);

export const nats3Settings = { ...schema, configFile: '/etc/nats3/config.toml' };

/** Durations in ms, sizes in bytes. */
export type Nats3Settings = SettingsOf<typeof schema.settings>;
