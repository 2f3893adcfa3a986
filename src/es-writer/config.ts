import { overlaps } from '../core/subject.ts';
import { commonSettings } from '../service/common-settings.ts';
import { elasticRule, elasticSettings } from '../service/elastic-settings.ts';
import { bytes, duration, integer, listOf } from '../service/kinds.ts';
import { natsRule, natsSettings } from '../service/nats-settings.ts';
import { defineSettings, group, setting, type SettingsOf } from '../service/settings.ts';
import { streamName } from '../service/stream-name.ts';
import { renameRule } from '../service/rename-rule.ts';
import { subjectPattern } from '../service/subject-pattern.ts';

export const writerSettings = defineSettings(
  'es-writer',
  'applies changes from NATS JetStream to an Elasticsearch or OpenSearch cluster, each exactly once in effect.',
  {
    ...natsSettings,
    ...group('What is written', {
      stream: setting(streamName(), { help: 'Stream read from; made if there is none.', default: 'ES_CHANGES' }),
      streamMaxBytes: setting(bytes('1MB'), {
        help: 'Most a stream that is made may hold. Without it the limit of the NATS account.',
      }),
      streamReplicas: setting(integer(1, 5), { help: 'Replicas of streams that are made.', default: '1' }),
      consumer: setting(streamName(), {
        help: 'Durable consumer; writers with the same one share the work.',
        default: 'es-writer',
      }),
      filterSubjects: setting(listOf(subjectPattern()), {
        help: 'Subjects to take, comma-separated, with * and >, such as es.acme.orders.*; all if empty.',
        default: '',
      }),
      rename: setting(listOf(renameRule()), {
        help: 'Index names at the target, FROM=TO, comma-separated; each * in FROM is $1, $2 … in TO; the first that fits is taken.',
        default: '',
      }),
      dlqStream: setting(streamName(), { help: 'Stream of documents that the target refuses.', default: 'ES_DLQ' }),
    }),
    ...elasticSettings('Target cluster', 'target'),
    ...group('Bulk requests', {
      batchSize: setting(integer(1, 100_000), { help: 'Most documents in one bulk request.', default: '4000' }),
      bulkBytesMax: setting(bytes('64KB', '1GB'), {
        help: 'Most bytes in one bulk request; a larger document has a request of its own.',
        default: '8MB',
      }),
      flushAfter: setting(duration('0', '1m'), {
        help: 'Longest a document waits for its bulk request to fill.',
        default: '20ms',
      }),
      bulkConcurrency: setting(integer(1, 64), {
        help: 'Most bulk requests at once; fewer while the target is busy.',
        default: '4',
      }),
      retryMin: setting(duration('1ms', '1h'), {
        help: 'First wait before a document is tried again; doubles, with jitter.',
        default: '100ms',
      }),
      retryMax: setting(duration('1ms', '1h'), { help: 'Longest wait before a document is tried again.', default: '30s' }),
      retryAttemptsMax: setting(integer(0, 1_000_000), {
        help: 'Tries before a document that the target is too busy for becomes a dead letter; 0 is without end.',
        default: '0',
      }),
      gcDeletes: setting(duration('0', '30d'), {
        help: 'index.gc_deletes of every index written, so that no late write undoes a delete; 0 leaves it alone.',
        default: '1h',
      }),
    }),
    ...group('Reading', {
      ackWait: setting(duration('1s', '1h'), {
        help: 'Time after which the stream delivers an unacknowledged message again.',
        default: '30s',
      }),
      inflightBytesMax: setting(bytes('64KB', '4GB'), { help: 'Most bytes read and not yet written.', default: '32MB' }),
      inflightFramesMax: setting(integer(1, 100_000), { help: 'Most messages read and not yet acknowledged.', default: '512' }),
    }),
    ...commonSettings('127.0.0.1:8082'),
  },
  [
    elasticRule,
    natsRule,
    ({ retryMin, retryMax }) => (retryMin > retryMax ? '--retry-min is above --retry-max' : undefined),
    ({ filterSubjects }) => {
      const twice = filterSubjects.find((one, at) => filterSubjects.slice(0, at).some((other) => overlaps(one, other)));
      return twice === undefined ? undefined : `--filter-subjects: ${twice} overlaps with one before it; give the wider one`;
    },
    ({ stream, dlqStream }) => (stream === dlqStream ? '--dlq-stream must be another stream than --stream' : undefined),
  ],
);

/** Durations in ms, sizes in bytes. */
export type WriterSettings = SettingsOf<typeof writerSettings.settings>;
