import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watcherMetrics } from '../../src/es-watcher/metrics.ts';
import { writerMetrics } from '../../src/es-writer/metrics.ts';
import { SERIES_MAX } from '../../src/service/instruments.ts';
import { Metrics } from '../../src/service/metrics.ts';

/** The lines of our own metrics, comments left out. */
async function lines(metrics: Metrics): Promise<string[]> {
  const { body } = await metrics.scrape();
  return body.split('\n').filter((line) => line.startsWith('es_watcher_'));
}

test('counters, gauges and histograms appear as Prometheus expects them', async () => {
  const metrics = new Metrics('es-watcher');
  const documents = metrics.counter('documents_total', 'Documents.', ['index', 'operation']);
  documents.with({ index: 'a "b"\\\n', operation: 'index' }).inc(500);
  documents.with({ index: 'a "b"\\\n', operation: 'index' }).inc();
  metrics.counter('frames_total', 'Frames.');
  metrics.gauge('lag_seconds', 'Lag.', ['shard']).with({ shard: '0' }).set(1.5);
  metrics.flag('stream_full', 'Full.').with({}).set(1);
  const seconds = metrics.histogram('poll_duration_seconds', 'Poll.').with({});
  for (const value of [0.001, 0.002, 31]) seconds.observe(value);

  const all = await lines(metrics);
  assert.deepEqual(
    all.filter((line) => !line.includes('_bucket')),
    [
      'es_watcher_documents_total{index="a \\"b\\"\\\\\\n",operation="index"} 501',
      'es_watcher_frames_total 0',
      'es_watcher_lag_seconds{shard="0"} 1.5',
      'es_watcher_stream_full 1',
      'es_watcher_poll_duration_seconds_sum 31.003',
      'es_watcher_poll_duration_seconds_count 3',
    ],
  );
  const buckets = all.filter((line) => line.includes('_bucket'));
  assert.equal(buckets[0], 'es_watcher_poll_duration_seconds_bucket{le="0.001"} 1');
  assert.deepEqual(buckets.slice(-2), [
    'es_watcher_poll_duration_seconds_bucket{le="30"} 2',
    'es_watcher_poll_duration_seconds_bucket{le="+Inf"} 3',
  ]);
});

test('the process itself is measured too, and each scrape may update gauges first', async () => {
  const metrics = new Metrics('es-watcher');
  const lag = metrics.gauge('lag_seconds', 'Lag.').with({});
  metrics.beforeScrape(() => lag.set(7));
  const { body, contentType } = await metrics.scrape();
  assert.match(contentType, /^text\/plain; version=0\.0\.4/);
  assert.match(body, /^process_resident_memory_bytes \d+/m);
  assert.match(body, /^nodejs_eventloop_lag_seconds /m);
  assert.match(body, /^es_watcher_lag_seconds 7$/m);
});

test('series of an index that is gone are dropped everywhere, others stay', async () => {
  const metrics = new Metrics('es-watcher');
  const documents = metrics.counter('documents_total', 'Documents.', ['index']);
  const lag = metrics.gauge('lag_seconds', 'Lag.', ['index', 'shard']);
  metrics.counter('frames_total', 'Frames.');
  for (const index of ['a', 'b']) {
    documents.with({ index }).inc();
    for (const shard of ['0', '1']) lag.with({ index, shard }).set(1);
  }
  metrics.drop({ index: 'a' });
  metrics.drop({ index: 'b', shard: '1' });
  assert.deepEqual(await lines(metrics), [
    'es_watcher_documents_total{index="b"} 1',
    'es_watcher_lag_seconds{index="b",shard="0"} 1',
    'es_watcher_frames_total 0',
  ]);
});

test('a metric does not grow without bound: late comers are counted as other', () => {
  const documents = new Metrics('es-watcher').counter('documents_total', 'Documents.', ['index']);
  for (let i = 0; i < SERIES_MAX + 100; i++) documents.with({ index: `i${i}` }).inc();
  assert.equal(documents.samples().length, SERIES_MAX + 1);
  assert.deepEqual(documents.samples().at(-1), { labels: { index: 'other' }, value: 100 });
});

test('every metric of the programs has a unit, a help sentence and a name of its own', () => {
  for (const [program, define] of Object.entries({ 'es-watcher': watcherMetrics, 'es-writer': writerMetrics })) {
    const metrics = new Metrics(program);
    define(metrics);
    const names = metrics.describe().map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { name, help } of metrics.describe()) {
      assert.match(name, /^es_(watcher|writer)_[a-z_]+$/);
      assert.match(help, /^[A-Z1].+\.$/, name);
    }
  }
});
