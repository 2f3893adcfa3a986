import { describeError } from '../src/core/errors.ts';
import type { ElasticClient } from '../src/elastic/index.ts';
import { NATS_VERSION } from './provision/nats.ts';
import { provision } from './provision.ts';
import { connectCluster, count, createPlacesIndex, load, refresh } from './demo/cluster.ts';
import { places } from './demo/places.ts';
import { showLive } from './demo/live.ts';
import { bar, number, Screen, seconds } from './demo/screen.ts';
import { keepStack, startStack, stopStack, type Stack, type WatcherStats, type WriterStats } from './demo/stack.ts';
import { until } from './demo/until.ts';
import { isExact, verify } from './demo/verify.ts';
import { elasticsearchRelease, opensearchRelease } from './servers.ts';

/**
 * The product in front of a user: a real Elasticsearch is followed by a real OpenSearch, the writer is killed on the way, and in the end
 * both sides are compared. `KEEP=1` leaves everything running; `DEMO_SECONDS` and `DEMO_DOCUMENTS` make it shorter.
 */
const index = 'places';
const screenEveryMs = 100;

const stays = (process.env['KEEP'] ?? '') !== '';
const liveSeconds = Number(process.env['DEMO_SECONDS'] ?? 60);
const documents = Number(process.env['DEMO_DOCUMENTS'] ?? Infinity);
const screen = new Screen();

async function main(): Promise<boolean> {
  const route = `Elasticsearch ${elasticsearchRelease('8.19').version} → NATS ${NATS_VERSION} → OpenSearch ${opensearchRelease('2.19').version}`;
  screen.line(`${screen.paint('bold', 'ES Sync Gateway')}  ${route}`);
  screen.heading('Servers');
  await provision(['nats', 'elasticsearch/8.19', 'opensearch/2.19']);
  screen.live('  starting …');
  const stack = await startStack({
    index,
    onServer: (name, server, tookMs) =>
      screen.line(screen.tick(`${name.padEnd(6)} ${server.name}  ${server.url}  ${seconds(tookMs)}`)),
  });
  screen.settle();
  const source = connectCluster(stack.source.url);
  const target = connectCluster(stack.target.url);
  const loaded = await fill(source, target);
  await backfill(stack, loaded);
  await showLive(screen, stack, { source, target, index, seconds: liveSeconds, places: places(documents) });
  const exact = await compareSides(source, target);
  await Promise.all([source.close(), target.close()]);
  if (stays) screen.line('', ...keepStack(stack));
  else await stopStack(stack);
  return exact;
}

async function fill(source: ElasticClient, target: ElasticClient): Promise<number> {
  screen.heading('Places of GeoNames are written to the source');
  await Promise.all([createPlacesIndex(source, index), createPlacesIndex(target, index)]);
  const all = [...places(documents)];
  const startedAt = performance.now();
  const rate = (done: number) => `${number((done / (performance.now() - startedAt)) * 1000)} documents/s`;
  await load(source, index, all, (done) => screen.live(`  ${bar(done / all.length)}  ${number(done)}  ${rate(done)}`));
  screen.settle(screen.tick(`${number(all.length)} documents in ${seconds(performance.now() - startedAt)}, ${rate(all.length)}`));
  await refresh(source, index);
  return count(source, index);
}

/** Watcher and writer start on an index that is there: everything is copied, and from then on followed. */
async function backfill({ watcher, writer }: Stack, total: number): Promise<void> {
  screen.heading('es-watcher and es-writer start: backfill');
  const startedAt = performance.now();
  await Promise.all([watcher.start(), writer.start()]);
  const line = (what: string, done: number) => {
    const rate = `${number((done / (performance.now() - startedAt)) * 1000)} documents/s`;
    return `  ${bar(done / total)}  ${what} ${number(done)}  ${rate}`;
  };
  await until(
    'the backfill',
    async () => {
      const [read, written] = await Promise.all([watcher.stats<WatcherStats>(), writer.stats<WriterStats>()]);
      const captured = (read?.indices ?? [])
        .flatMap(({ shards }) => shards)
        .reduce((sum, shard) => sum + shard.checkpoint + 1, 0);
      screen.live(line('written ', written?.documents.stored ?? 0), line('captured', captured));
      return (written?.documents.stored ?? 0) >= total;
    },
    { everyMs: screenEveryMs, withinMs: 600_000 },
  );
  const tookMs = performance.now() - startedAt;
  screen.settle(
    screen.tick(
      `${number(total)} documents in ${seconds(tookMs)}, ${number((total / tookMs) * 1000)} documents/s, start included`,
    ),
  );
}

async function compareSides(source: ElasticClient, target: ElasticClient): Promise<boolean> {
  screen.heading('Both sides are compared: id, routing and every byte of every document');
  const total = await count(source, index);
  const startedAt = performance.now();
  const result = await verify(source, target, index, (done) => screen.live(`  ${bar(done / total)}  ${number(done)}`));
  const exact = isExact(result);
  screen.settle();
  const differences = `${number(result.missing)} missing, ${number(result.extra)} extra, ${number(result.different)} different`;
  const line = `${number(result.documents)} documents: ${differences} (compared in ${seconds(performance.now() - startedAt)})`;
  screen.line(exact ? screen.tick(screen.paint('bold', line)) : `  ${screen.paint('red', `✗ ${line}`)}`);
  return exact;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    screen.close();
    process.stdout.write('\nstopped; everything is cleaned up\n');
    // servers, programs and files end with this process: the watchdog sees to it
    process.exit(130);
  });
}

const startedAt = performance.now();
try {
  const exact = await main();
  screen.line('', exact ? `Done in ${seconds(performance.now() - startedAt)}.` : 'The two sides differ.');
  process.exitCode = exact ? 0 : 1;
} catch (error) {
  screen.settle();
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}
screen.close();
