import type { Metrics } from '../service/metrics.ts';

export type GatewayMetrics = ReturnType<typeof gatewayMetrics>;

/** Every metric of nats-gateway. */
export function gatewayMetrics(metrics: Metrics) {
  return {
    documents: metrics.counter(
      'documents_total',
      'Documents by fate: passed, filtered, transformed, failed. Of frames that a subject filter keeps back, which are not opened, those that a header counts.',
      ['index', 'operation', 'fate'],
    ),
    frames: metrics.counter(
      'frames_total',
      'Messages by what was done: bytes (forwarded as they are), decoded, filtered, drop.',
      ['how'],
    ),
    frameBytes: metrics.counter('frame_bytes_total', 'Payload bytes of messages received.'),
    settled: metrics.counter('settled_frames_total', 'Messages acknowledged upstream.'),
    redeliveries: metrics.counter('redeliveries_total', 'Messages received more than once.'),
    deadLetters: metrics.counter('dead_letters_total', 'Messages and documents put into the dead-letter stream, by reason.', [
      'type',
    ]),
    retries: metrics.counter('retries_total', 'Publishes tried again, by output.', ['output']),
    publishSeconds: metrics.histogram(
      'publish_duration_seconds',
      'Time until all outputs have acknowledged a batch of messages.',
    ),
    inflightFrames: metrics.gauge('inflight_frames', 'Messages read and not yet acknowledged.'),
    inflightBytes: metrics.gauge('inflight_bytes', 'Bytes on their way downstream.'),
    lagMessages: metrics.gauge('lag_messages', 'Messages upstream that the gateway has not acknowledged yet.'),
    lagSeconds: metrics.gauge('lag_seconds', 'Age of the message that was acknowledged last, since upstream stored it.'),
    streamFull: metrics.flag('stream_full', '1 while a stream downstream is full and the gateway waits.'),
    paused: metrics.flag('paused', '1 while the gateway is paused.'),
    reloads: metrics.counter('reloads_total', 'Reloads of the rules, by result: done, refused.', ['result']),
    embeddedUp: metrics.flag('embedded_server_up', '1 while the embedded NATS server runs.'),
    embeddedRestarts: metrics.counter('embedded_server_restarts_total', 'Times the embedded NATS server was started again.'),
  };
}
