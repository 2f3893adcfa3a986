import { describeError } from '../core/errors.ts';
import { parseIndexPatterns } from '../elastic/patterns.ts';
import { commonSettings } from '../service/common-settings.ts';
import { elasticRule, elasticSettings } from '../service/elastic-settings.ts';
import { boolean, bytes, duration, integer, listOf, oneOf, path, text } from '../service/kinds.ts';
import { natsRule, natsSettings } from '../service/nats-settings.ts';
import { defineSettings, group, setting, type SettingsOf } from '../service/settings.ts';
import { streamName } from '../service/stream-name.ts';

export const watcherSettings = defineSettings(
  'es-watcher',
  'follows every change of an Elasticsearch or OpenSearch cluster, deletes included, and publishes it to NATS JetStream.',
  {
    ...elasticSettings('Source cluster', 'source'),
    ...group('What is followed', {
      indexPatterns: setting(listOf(text('PATTERN'), 1), {
        help: 'Index patterns, comma-separated; one that begins with - excludes. System and hidden indices only when named.',
        default: '*',
      }),
      tenant: setting(text('NAME'), { help: 'Second token of every subject (es.TENANT.INDEX.OPERATION).', default: 'default' }),
      checkpointPath: setting(path(), {
        help: 'Directory of the checkpoint, one a watcher; :memory: keeps none, and a restart reads everything again.',
        default: '/data/checkpoint',
      }),
      propagateIndexDeletes: setting(boolean(), {
        help: 'When an index is deleted at the source, delete the index at the target too.',
        default: 'false',
      }),
    }),
    ...group('Pace', {
      pollInterval: setting(duration('1ms', '1h'), {
        help: 'Longest wait between two looks at the checkpoints; while changes come, it is shorter by itself.',
        default: '100ms',
      }),
      discoveryInterval: setting(duration('10ms', '1h'), {
        help: 'How often patterns are resolved again: new, recreated, closed and deleted indices.',
        default: '1s',
      }),
      refresh: setting(oneOf('force', 'passive'), {
        help: 'force refreshes an index before it is read; passive waits for refreshes of its own (index.refresh_interval).',
        default: 'force',
      }),
      shardsParallel: setting(integer(1, 256), { help: 'Shards read at once.', default: '4' }),
      pageDocumentsMax: setting(integer(1, 10_000), { help: 'Most documents in one search.', default: '5000' }),
      pageBytesMax: setting(bytes('64KB', '512MB'), {
        help: 'Size that the page of a search is kept near, by asking for fewer documents where they are large.',
        default: '2MB',
      }),
    }),
    ...natsSettings,
    ...group('Stream and frames', {
      stream: setting(streamName(), { help: 'Stream published to; made if there is none.', default: 'ES_CHANGES' }),
      streamMaxBytes: setting(bytes('1MB'), {
        help: 'Most the stream may hold; when it is full the watcher waits. Without it the limit of the NATS account.',
      }),
      streamKeep: setting(duration(), {
        help: 'How long changes that every consumer has acknowledged are kept, while there is room.',
        default: '1h',
      }),
      streamReplicas: setting(integer(1, 5), { help: 'Replicas of a stream that is made.', default: '1' }),
      publishWindow: setting(integer(1, 4096), {
        help: 'Most frames sent and not yet acknowledged by the stream.',
        default: '64',
      }),
      frameDocumentsMax: setting(integer(1, 10_000), { help: 'Most documents in one message.', default: '500' }),
      frameBytesMax: setting(bytes('1KB', '64MB'), {
        help: 'Most bytes of documents in one message before compression; a larger document has a message of its own.',
        default: '512KB',
      }),
      compressFrom: setting(bytes(), {
        help: 'Frames of this size and above are compressed (zstd); 0 compresses none.',
        default: '4KB',
      }),
      compressLevel: setting(integer(1, 19), { help: 'zstd level.', default: '1' }),
    }),
    ...commonSettings('127.0.0.1:8081'),
  },
  [
    elasticRule,
    natsRule,
    ({ indexPatterns }) =>
      indexPatterns.every((pattern) => pattern.startsWith('-'))
        ? '--index-patterns only excludes; add what to follow, such as *'
        : undefined,
    ({ indexPatterns }) => {
      try {
        parseIndexPatterns(indexPatterns.join(','));
        return undefined;
      } catch (error) {
        return describeError(error);
      }
    },
  ],
);

/** Durations in ms, sizes in bytes. */
export type WatcherSettings = SettingsOf<typeof watcherSettings.settings>;
