import type { Metrics } from '../service/metrics.ts';

export type Nats3Metrics = ReturnType<typeof nats3Metrics>;

const labels = ['kind', 'job'] as const;

/** Every metric of nats3. Series of a job are dropped by `metrics.drop` when this server does not run it any more. */
export function nats3Metrics(metrics: Metrics) {
  return {
    messages: metrics.counter('messages_total', 'Messages that are stored in the bucket, or loaded into the stream.', labels),
    bytes: metrics.counter('bytes_total', 'Bytes of those messages, uncompressed: header blocks and payloads.', labels),
    storedBytes: metrics.counter('stored_bytes_total', 'Bytes of objects written.', labels),
    objects: metrics.counter('objects_total', 'Objects written.', labels),
    jobs: metrics.gauge('running_jobs', 'Jobs that this server runs, by kind and state.', ['kind', 'state']),
    lag: metrics.gauge('lag_messages', 'Messages of the stream that are not in the bucket yet.', labels),
    uploadSeconds: metrics.histogram('upload_duration_seconds', 'Time to write one block, tries included.', labels),
    publishSeconds: metrics.histogram('publish_duration_seconds', 'Time until a window of messages was acknowledged.', labels),
    retries: metrics.counter('retries_total', 'Requests and publishes that had to be tried again.', labels),
    errors: metrics.counter('errors_total', 'Troubles that began, by code.', [...labels, 'code']),
    skipped: metrics.counter(
      'skipped_messages_total',
      'Messages that may be lost in damaged blocks that were passed over.',
      labels,
    ),
    inflightBytes: metrics.gauge(
      'inflight_bytes',
      'Bytes read and not yet stored, or published and not yet acknowledged.',
      labels,
    ),
  };
}

/** The series of one job. */
export type JobMeters = ReturnType<typeof jobMeters>;

export function jobMeters(metrics: Nats3Metrics, kind: string, job: string) {
  const series = { kind, job };
  return {
    messages: metrics.messages.with(series),
    bytes: metrics.bytes.with(series),
    storedBytes: metrics.storedBytes.with(series),
    objects: metrics.objects.with(series),
    lag: metrics.lag.with(series),
    uploadSeconds: metrics.uploadSeconds.with(series),
    publishSeconds: metrics.publishSeconds.with(series),
    retries: metrics.retries.with(series),
    errors: (code: string) => metrics.errors.with({ ...series, code }),
    skipped: metrics.skipped.with(series),
    inflightBytes: metrics.inflightBytes.with(series),
  };
}
