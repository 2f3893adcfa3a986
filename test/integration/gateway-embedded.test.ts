import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort, isAlive, temporaryDirectory } from '../../scripts/servers.ts';
import { install } from '../../scripts/provision/cache.ts';
import { natsRecipe } from '../../scripts/provision/nats.ts';
import { change, connectTo, gatewayProgram, publishFrame, readStream } from '../support/gateway-stage.ts';
import type { Program } from '../support/programs.ts';
import { until } from '../support/until.ts';

const withinMs = 30_000;

type Box = { gateway: Program; url: string; storeDir: string; serverPid: () => number };

async function box(flags: Record<string, string> = {}, storeDir = join(temporaryDirectory('embedded'), 'store')): Promise<Box> {
  const port = await freePort();
  const gateway = gatewayProgram({
    embedded: 'true',
    'nats-binary': join(await install(natsRecipe), 'nats-server'),
    'nats-listen': `127.0.0.1:${port}`,
    'store-dir': storeDir,
    'js-max-file': '64MB',
    ...flags,
  });
  return {
    gateway,
    url: `nats://127.0.0.1:${port}`,
    storeDir,
    serverPid: () => Number(readFileSync(join(storeDir, 'nats-server.pid'), 'utf8')),
  };
}

test('the embedded server ends with the gateway, whether that is stopped or killed, and its streams stay', async (t) => {
  const { gateway, url, serverPid } = await box();
  await gateway.startReady();
  const link = await connectTo(url);
  t.after(() => link.close());
  assert.deepEqual((await link.manager.streams.info('ES_CHANGES')).config.subject_transform, {
    src: 'gateway.ES_CHANGES.es.>',
    dest: 'es.>',
  });
  await publishFrame(link, 'one', [change('a', 1)]);
  await until('the frame downstream', async () => (await readStream(link, 'ES_CHANGES')).length === 1, { withinMs });
  const first = serverPid();
  await gateway.kill();
  await until('the server to end after its gateway', () => !isAlive(first), { withinMs });
  await gateway.startReady();
  await until('the frame to be there still', async () => (await readStream(link, 'ES_CHANGES')).length === 1, { withinMs });
  const second = serverPid();
  assert.equal((await gateway.stop()).code, 0);
  assert.equal(isAlive(second), false);
});

test('a server that is killed is started again, and the shell around it too', async (t) => {
  const { gateway, url, serverPid } = await box();
  await gateway.startReady();
  const link = await connectTo(url);
  t.after(() => link.close());
  const stats = async () =>
    (JSON.parse((await gateway.get('/stats')).body) as { embedded: { is: string; pid: number; restarts: number } }).embedded;
  const first = serverPid();
  process.kill(first, 'SIGKILL');
  await until('the first restart', async () => (await stats()).restarts === 1 && serverPid() !== first, { withinMs });
  await gateway.ready();
  const second = serverPid();
  const shell = Number(/^\S+ \(.*\) \S (\d+)/.exec(readFileSync(`/proc/${second}/stat`, 'latin1'))?.[1]);
  process.kill(shell, 'SIGKILL');
  await until('the second restart', async () => (await stats()).restarts === 2 && serverPid() !== second, { withinMs });
  assert.equal(isAlive(second), false);
  await gateway.ready();
  await until('the frame to be taken', () => publishFrame(link, 'one', [change('a', 1)]), { withinMs });
  await until('the frame downstream', async () => (await readStream(link, 'ES_CHANGES')).length === 1, { withinMs });
  await gateway.stop();
});

test('a second gateway on the same store is refused; one after a crash is not', async () => {
  const first = await box();
  await first.gateway.startReady();
  const second = await box({}, first.storeDir);
  second.gateway.start();
  assert.equal((await second.gateway.ended()).code, 1);
  assert.match(second.gateway.output, /another process runs its NATS server on .*\n.*--store-dir/);
  await first.gateway.kill();
  await second.gateway.startReady();
  await second.gateway.stop();
});

test('without a binary it says how to get one, with a port in use what to do', async () => {
  const { gateway } = await box({ 'nats-binary': '/nowhere/nats-server' });
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  gateway.start();
  process.env['PATH'] = path;
  assert.equal((await gateway.ended()).code, 1);
  assert.match(gateway.output, /no nats-server at \/nowhere\/nats-server nor on PATH\n.*--nats-binary/);
  const one = await box();
  await one.gateway.startReady();
  const two = await box({ 'nats-listen': one.url.slice('nats://'.length) });
  two.gateway.start();
  assert.equal((await two.gateway.ended()).code, 1);
  assert.match(two.gateway.output, /embedded NATS server cannot listen on .*\n.*--nats-listen/);
  await one.gateway.stop();
});

test('users that are set must log in, and the configuration is readable by its owner only', async () => {
  const { gateway, url, storeDir } = await box({ 'upstream-user': 'u', 'upstream-password': "p'\\x" });
  await gateway.startReady();
  await assert.rejects(connectTo(url), { code: 'NATS_UNAUTHORISED' });
  const file = readFileSync(join(storeDir, 'nats-server.conf'), 'utf8');
  assert.match(file, /sync_interval: 'always'/);
  assert.equal((await gateway.get('/config')).body.includes("p'"), false);
  await gateway.stop();
});

test('a full store slows publishers down or refuses them, and readiness says so', async (t) => {
  const { gateway, url } = await box({ 'js-max-file': '16MB' });
  await gateway.startReady();
  const link = await connectTo(url);
  t.after(() => link.close());
  const source = Buffer.from(`{"text":"${'x'.repeat(200_000)}"}`);
  const refusals: unknown[] = [];
  // Nobody reads downstream, so nothing may be purged there, and the stream upstream fills up behind it.
  for (let n = 0; n < 200 && refusals.length === 0; n++) {
    await publishFrame(link, `f${n}`, [change('a', n, { source })]).catch((error: unknown) => refusals.push(error));
  }
  assert.equal(refusals.length, 1);
  await until(
    'readiness to name the stream',
    async () => {
      const { status, body } = await gateway.get('/health/ready');
      return status === 503 && /ES_CHANGES/.test(body) && /full/.test(body);
    },
    { withinMs },
  );
  const upstream = (await readStream(link, 'ES_CHANGES_RAW')).flatMap(({ events }) => events.map(({ id }) => id));
  const downstream = (await readStream(link, 'ES_CHANGES')).flatMap(({ events }) => events.map(({ id }) => id));
  assert.deepEqual(
    upstream,
    upstream.map((_, n) => `d${n}`),
  );
  assert.deepEqual(downstream, upstream.slice(0, downstream.length));
  await gateway.stop();
});
