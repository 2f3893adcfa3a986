import type { Metrics } from '../service/metrics.ts';

export type WriterMetrics = ReturnType<typeof writerMetrics>;

/** Every metric of es-writer. The label `index` is dropped by `metrics.drop({ index })` when an index is gone. */
export function writerMetrics(metrics: Metrics) {
  return {
    documents: metrics.counter('documents_total', 'Documents settled, by outcome: stored, stale, refused.', ['index', 'outcome']),
    frames: metrics.counter('frames_total', 'Messages acknowledged.'),
    frameBytes: metrics.counter('frame_bytes_total', 'Payload bytes of messages received, before decompression.'),
    redeliveries: metrics.counter('redeliveries_total', 'Messages received more than once.'),
    foreign: metrics.counter('foreign_frames_total', 'Messages that are no frames of ours, dead-lettered as they are.'),
    bulks: metrics.counter('bulk_requests_total', 'Bulk requests, by result: ok, busy, split, failed.', ['result']),
    bulkSeconds: metrics.histogram('bulk_duration_seconds', 'Time of one bulk request.'),
    bulkBytes: metrics.histogram('bulk_size_bytes', 'Body bytes of one bulk request.'),
    concurrency: metrics.gauge(
      'bulk_concurrency_requests',
      'Bulk requests that may run at once, lowered while the target is busy.',
    ),
    retries: metrics.counter('retries_total', 'Documents tried again, by reason: busy, connection.', ['reason']),
    lateWrites: metrics.counter(
      'late_writes_total',
      'Documents that took so long that a later delete was looked for in the stream, by outcome: written, stale.',
      ['outcome'],
    ),
    lateScans: metrics.counter('late_scans_total', 'Looks through the stream for later deletes.'),
    deadLetters: metrics.counter('dead_letters_total', 'Documents put into the dead-letter stream, by the target’s error type.', [
      'type',
    ]),
    deadLetterWaiting: metrics.flag(
      'dead_letter_waiting',
      '1 while the dead-letter stream cannot be reached and its documents wait.',
    ),
    inflightFrames: metrics.gauge('inflight_frames', 'Messages read and not yet acknowledged.'),
    inflightBytes: metrics.gauge('inflight_bytes', 'Bytes read and not yet written.'),
    lagMessages: metrics.gauge('lag_messages', 'Messages of the stream that the consumer has not acknowledged yet.'),
    lagSeconds: metrics.gauge('lag_seconds', 'Age of the last change written, from its capture to the target’s answer.'),
    changeSeconds: metrics.histogram(
      'change_duration_seconds',
      'Time from the capture of a change to the target’s answer, one a frame.',
    ),
  };
}
