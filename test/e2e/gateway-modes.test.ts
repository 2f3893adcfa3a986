import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { install } from '../../scripts/provision/cache.ts';
import { natsRecipe } from '../../scripts/provision/nats.ts';
import { freePort, type Server, temporaryDirectory } from '../../scripts/servers.ts';
import { connectTo, gatewayProgram } from '../support/gateway-stage.ts';
import { commandsOf, flagsOf } from '../support/guide.ts';
import { preparePlans, removePlans, standardPlans } from '../support/plans.ts';
import type { Program } from '../support/programs.ts';
import { Proxy } from '../support/proxy.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { freshNats, sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { Workload } from '../support/workload.ts';

/** The deployment modes of docs/deployment-modes.md, with the flags of its commands. Mode 1, without a gateway, is sync.test.ts. */
const seed = seedOfRun('modes');
const random = new Random(seed);

/** As in the guide: streams, consumer and dead letters have their default names. */
const defaults = {
  watcher: ['--stream=ES_CHANGES'],
  writer: ['--stream=ES_CHANGES', '--consumer=es-writer', '--dlq-stream=ES_DLQ'],
};

/** The gateway as a section of the guide runs it, with the addresses of this machine in the place of the guide's. */
function guided(
  section: string,
  replaced: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>> = {},
): Program {
  return gatewayProgram({ ...flagsOf(commandsOf('deployment-modes.md', section), 'nats-gateway', replaced), ...more });
}

type Stage = { rig: Rig; workload: (part: string, operations: number) => Workload };
type Cleanup = { after(work: () => Promise<void>): void };

async function stage(t: Cleanup, prefix: string, sees: { watcher: string; writer: string }): Promise<Stage> {
  const rig = new Rig({
    random,
    prefix,
    source: (await sharedElasticsearch('8.19')).url,
    target: (await sharedOpenSearch('2.19')).url,
    nats: sees.watcher,
    writerSees: { nats: sees.writer },
    watcherFlags: defaults.watcher,
    writerFlags: defaults.writer,
  });
  const plans = standardPlans(prefix, { streams: true, idsEach: 300 });
  await preparePlans(rig.source, rig.target, plans);
  t.after(async () => {
    await Promise.all([removePlans(rig.source, plans), removePlans(rig.target, plans)]);
    await rig.stop();
  });
  const workload = (part: string, operations: number): Workload =>
    new Workload({ cluster: rig.source, random: random.fork(part), plans, clients: 4, operations });
  return { rig, workload };
}

/** Kills the gateway a few times while the work goes on. */
async function killing(gateway: Program, times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    await pause(random.between(300, 1_200));
    await gateway.kill();
    await gateway.startReady();
  }
}

async function assertExact(rig: Rig, gateway: Program, expected: readonly string[] = []): Promise<number> {
  await until(
    'the gateway to have nothing left',
    async () => (await gateway.metric('lag_messages')) === 0 && (await gateway.metric('inflight_frames')) === 0,
    { withinMs: 60_000 },
  );
  const { documents } = await rig.untilExact();
  assert.equal(await gateway.metric('dead_letters_total'), 0);
  assert.equal(await rig.writer.metric('dead_letters_total'), 0);
  rig.assertQuiet(expected);
  assert.deepEqual(gateway.complaints, []);
  return documents;
}

test('mode 2, one server: the gateway between watcher and writer that keep their defaults, killed three times', async (t) => {
  const nats = await freshNats();
  const { rig, workload } = await stage(t, `m2${seed}`, { watcher: nats.url, writer: nats.url });
  const gateway = guided('On one NATS server', { 'nats://nats:4222': nats.url });
  t.after(async () => void (await gateway.stop()));
  await workload('before', 800).run();
  await gateway.startReady();
  await rig.start();
  await Promise.all([workload('during', 1_500).run(), killing(gateway, 3)]);
  t.diagnostic(`${await assertExact(rig, gateway)} documents`);
});

test('mode 2, one server: a watcher and a writer that were there first are adopted while nothing has been published', async (t) => {
  const nats = await freshNats();
  const { rig, workload } = await stage(t, `a2${seed}`, { watcher: nats.url, writer: nats.url });
  const gateway = gatewayProgram({ 'upstream-url': nats.url });
  t.after(async () => void (await gateway.stop()));
  await rig.start();
  await gateway.startReady();
  await workload('after', 500).run();
  const link = await connectTo(nats.url);
  t.after(() => link.close());
  assert.deepEqual((await link.manager.streams.info('ES_CHANGES_RAW')).config.subjects, ['es.>']);
  t.diagnostic(`${await assertExact(rig, gateway, ['STREAM_SUBJECT', 'STREAM_MISMATCH'])} documents`);
});

test('mode 2, one server: a stream of changes that is in use is refused, with both ways out', async (t) => {
  const nats = await freshNats();
  const link = await connectTo(nats.url);
  t.after(() => link.close());
  await link.manager.streams.add({ name: 'ES_CHANGES', subjects: ['es.>'], discard: 'new', max_bytes: 10_000_000 });
  await link.jetstream.publish('es.a.b.index', 'x');
  const gateway = gatewayProgram({ 'upstream-url': nats.url });
  gateway.start();
  assert.equal((await gateway.ended()).code, 1);
  assert.match(gateway.output, /stream ES_CHANGES takes es\.> itself and holds 1 messages/);
  assert.match(gateway.output, /nats stream purge ES_CHANGES.*--upstream-stream ES_CHANGES --downstream-stream ES_FILTERED/s);
});

test('mode 2, two servers: the link is cut for longer than the dedupe window, and downstream is killed under load', async (t) => {
  const [upstream, downstream] = await Promise.all([freshNats(), freshNats()]);
  await shortWindow(downstream);
  const proxy = await Proxy.to(downstream.url);
  const { rig, workload } = await stage(t, `t2${seed}`, { watcher: upstream.url, writer: downstream.url });
  const gateway = gatewayProgram({ 'upstream-url': upstream.url, 'downstream-url': proxy.url('nats') });
  t.after(async () => {
    await gateway.stop();
    await proxy.close();
  });
  await gateway.startReady();
  await rig.start();
  const faults = async (): Promise<void> => {
    await pause(800);
    proxy.apply('refuse', random);
    await until('readiness to say so', async () => (await gateway.get('/health/ready')).status === 503, { withinMs: 30_000 });
    await pause(3 * windowMs);
    proxy.heal();
    await gateway.ready();
    for (let n = 0; n < 2; n++) {
      await pause(random.between(300, 900));
      await downstream.kill('SIGKILL');
      await downstream.restart();
      await gateway.ready();
    }
    await killing(gateway, 1);
  };
  await Promise.all([workload('during', 2_500).run(), faults()]);
  await workload('after', 200).run();
  t.diagnostic(`${await assertExact(rig, gateway)} documents`);
});

const windowMs = 1_500;

/** The stream downstream with a dedupe window that a test can outlast. */
async function shortWindow(nats: Server): Promise<void> {
  const link = await connectTo(nats.url);
  await link.manager.streams.add({
    name: 'ES_CHANGES',
    subjects: ['es.>'],
    discard: 'new',
    max_bytes: 2 ** 30,
    duplicate_window: windowMs * 1e6,
  });
  await link.close();
}

test('mode 3, embedded: the gateway brings the server along; both are killed', async (t) => {
  const port = await freePort();
  const url = `nats://127.0.0.1:${port}`;
  const storeDir = join(temporaryDirectory('mode3'), 'store');
  const { rig, workload } = await stage(t, `m3${seed}`, { watcher: url, writer: url });
  const gateway = guided(
    '3. Embedded: the gateway brings the server along',
    { '/data/jetstream': storeDir, '0.0.0.0:4222': `127.0.0.1:${port}` },
    { 'nats-binary': join(await install(natsRecipe), 'nats-server') },
  );
  t.after(async () => void (await gateway.stop()));
  await gateway.startReady();
  await rig.start();
  const faults = async (): Promise<void> => {
    await killing(gateway, 2);
    for (let n = 0; n < 2; n++) {
      await pause(random.between(300, 900));
      process.kill(Number(readFileSync(join(storeDir, 'nats-server.pid'), 'utf8')), 'SIGKILL');
      await until(
        'the server to be started again',
        async () => (await gateway.metric('embedded_server_restarts_total')) === n + 1,
        { withinMs: 30_000 },
      );
      await gateway.ready();
    }
  };
  await Promise.all([workload('during', 1_800).run(), faults()]);
  await workload('after', 200).run();
  t.diagnostic(`${await assertExact(rig, gateway)} documents`);
});
