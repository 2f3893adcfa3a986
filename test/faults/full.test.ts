import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesBelow } from '../support/disk.ts';
import { preparePlans, removePlans, standardPlans } from '../support/plans.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { freshNats, sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { Workload } from '../support/workload.ts';

const seed = seedOfRun('full');
const megabyte = 1024 * 1024;
/** The stream's own limit, and what nats-server and the documents above its payload limit need beside it. */
const streamBytes = 8 * megabyte;
const diskBytesMax = 5 * streamBytes;

test('a stream of 8 MB that is full most of the time: slow, exact, disk bounded, and said so', async (t) => {
  const random = new Random(seed);
  const prefix = `f${seed}`;
  const [source, target, nats] = await Promise.all([sharedElasticsearch('8.19'), sharedOpenSearch('2.19'), freshNats()]);
  // Without compression, and read slowly: so the stream fills.
  const watcherFlags = ['--stream-max-bytes=8MB', '--compress-from=0'];
  const writerFlags = ['--stream-max-bytes=8MB', '--bulk-concurrency=1', '--inflight-frames-max=2', '--batch-size=100'];
  const rig = new Rig({ random, prefix, source: source.url, target: target.url, nats: nats.url, watcherFlags, writerFlags });
  const plans = standardPlans(prefix, { idsEach: 6_000, streams: true });
  await preparePlans(rig.source, rig.target, plans);
  t.after(async () => {
    await rig.stop();
    await Promise.all([removePlans(rig.source, plans), removePlans(rig.target, plans), nats.stop()]);
    await rig.close();
  });
  const habits = { bulk: [100, 200] as const, bulkDocumentBytes: 2_000 };
  const load = (part: string, operations: number): Workload =>
    new Workload({ cluster: rig.source, random: random.fork(part), plans, clients: 4, operations, habits });
  await load('before', 15_000).run();
  await rig.watcher.startReady();
  await until('the stream to be full', async () => (await rig.watcher.metric('stream_full')) === 1, { withinMs: 60_000 });
  const { status, body } = await rig.watcher.get('/health/ready');
  assert.equal(status, 503);
  assert.match(body, /--stream-max-bytes/);

  let peak = 0;
  const watching = setInterval(() => (peak = Math.max(peak, bytesBelow(nats.dataDir))), 200);
  t.after(() => clearInterval(watching));
  await rig.writer.startReady();
  const tally = await load('during', 10_000).run();
  const comparison = await rig.untilExact({ withinMs: 240_000 });
  const fullSeconds = await rig.watcher.metric('stream_full_seconds_total');
  t.diagnostic(
    `${String(tally)}; full for ${fullSeconds.toFixed(1)} s; ${(peak / megabyte).toFixed(1)} MB on disk at most; ${comparison.documents} documents equal`,
  );
  assert.ok(fullSeconds > 0, 'the stream was never full');
  assert.ok(peak < diskBytesMax, `${peak} bytes on disk`);
  rig.assertQuiet();
});
