import type { Metrics } from '../service/metrics.ts';

export type WatcherMetrics = ReturnType<typeof watcherMetrics>;

/** Every metric of es-watcher. Labels `index` and `shard` are dropped by `metrics.drop({ index })` when an index is followed no more. */
export function watcherMetrics(metrics: Metrics) {
  return {
    documents: metrics.counter('documents_total', 'Changes that the stream has acknowledged.', ['index', 'operation']),
    documentBytes: metrics.counter('document_bytes_total', 'Bytes of those changes, before compression.'),
    frames: metrics.counter('frames_total', 'Messages that the stream has acknowledged.'),
    frameBytes: metrics.counter('frame_bytes_total', 'Payload bytes of those messages, after compression.'),
    largeDocuments: metrics.counter(
      'large_documents_total',
      'Documents too large for a message, sent by way of the object store.',
    ),
    lagOperations: metrics.gauge('lag_operations', 'Operations of the shard that the stream does not hold yet.', [
      'index',
      'shard',
    ]),
    lagSeconds: metrics.gauge('lag_seconds', 'For how long the shard has had an operation that the stream does not hold.', [
      'index',
      'shard',
    ]),
    backfill: metrics.gauge('backfill_progress_ratio', 'Part of the shard’s operations that has been read; 1 when live.', [
      'index',
      'shard',
    ]),
    indices: metrics.gauge('followed_indices', 'Indices that are followed.'),
    shards: metrics.gauge('followed_shards', 'Shards that are followed.'),
    pollSeconds: metrics.histogram('poll_duration_seconds', 'Time of one reading of the statistics of all shards.'),
    refreshSeconds: metrics.histogram('refresh_duration_seconds', 'Time of one refresh of an index.'),
    publishSeconds: metrics.histogram(
      'publish_duration_seconds',
      'Time from sending a message to its acknowledgement by the stream.',
    ),
    deletes: metrics.counter('deletes_found_total', 'Documents found to be deleted, by comparing the checkpoint with the index.'),
    lookSeconds: metrics.histogram('look_duration_seconds', 'Time of one comparison of a shard with the checkpoint.'),
    disagreements: metrics.counter(
      'disagreements_total',
      'Ranges in which the index held more than the checkpoint knew, read again.',
    ),
    incarnations: metrics.counter('incarnations_total', 'Indices found recreated, restored or rolled back.'),
    retries: metrics.counter('retries_total', 'Steps tried again, by the peer that failed: source, nats.', ['peer']),
    streamFull: metrics.flag('stream_full', '1 while the stream is full and the watcher waits.'),
    streamFullSeconds: metrics.counter('stream_full_seconds_total', 'Time spent waiting for room in the stream.'),
    streamBytes: metrics.gauge('stream_bytes', 'Bytes the stream holds.'),
  };
}
