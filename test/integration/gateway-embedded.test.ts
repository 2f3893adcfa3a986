import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { freePort, isAlive, temporaryDirectory } from '../../scripts/servers.ts';
import { install } from '../../scripts/provision/cache.ts';
import { natsRecipe } from '../../scripts/provision/nats.ts';
import { killAtEnd, spareAtEnd } from '../../scripts/servers/watchdog.ts';
import { connectNats, type NatsLink, type NatsSettings } from '../../src/jetstream/index.ts';
import { Authority } from '../support/certificates.ts';
import { change, type Cleanup, connectTo, gatewayProgram, publishFrame, readStream } from '../support/gateway-stage.ts';
import type { Program } from '../support/programs.ts';
import { freshNats } from '../support/servers.ts';
import { until } from '../support/until.ts';

const withinMs = 30_000;

type Box = { gateway: Program; url: string; storeDir: string; serverPid: () => number };

async function box(
  t: Cleanup,
  flags: Record<string, string> = {},
  storeDir = join(temporaryDirectory('embedded'), 'store'),
): Promise<Box> {
  const port = await freePort();
  const gateway = gatewayProgram({
    embedded: 'true',
    'nats-binary': join(await install(natsRecipe), 'nats-server'),
    'nats-listen': `127.0.0.1:${port}`,
    'store-dir': storeDir,
    'js-max-file': '64MB',
    ...flags,
  });
  t.after(async () => {
    if (gateway.isRunning()) await gateway.stop();
  });
  return {
    gateway,
    url: `nats://127.0.0.1:${port}`,
    storeDir,
    serverPid: () => Number(readFileSync(join(storeDir, 'nats-server.pid'), 'utf8')),
  };
}

test('the embedded server ends with the gateway, whether that is stopped or killed, and its streams stay', async (t) => {
  const { gateway, url, serverPid } = await box(t);
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
  const { gateway, url, serverPid } = await box(t);
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

test('a second gateway on the same store is refused; one after a crash is not', async (t) => {
  const first = await box(t);
  await first.gateway.startReady();
  const second = await box(t, {}, first.storeDir);
  second.gateway.start();
  assert.equal((await second.gateway.ended()).code, 1);
  assert.match(second.gateway.output, /another process runs its NATS server on .*\n.*--store-dir/);
  await first.gateway.kill();
  await second.gateway.startReady();
  await second.gateway.stop();
});

test('without a binary it says how to get one, with a port in use what to do', async (t) => {
  const { gateway } = await box(t, { 'nats-binary': '/nowhere/nats-server' });
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  gateway.start();
  process.env['PATH'] = path;
  assert.equal((await gateway.ended()).code, 1);
  assert.match(gateway.output, /no nats-server at \/nowhere\/nats-server, beside this program, nor on PATH\n.*--nats-binary/);
  const one = await box(t);
  await one.gateway.startReady();
  const two = await box(t, { 'nats-listen': one.url.slice('nats://'.length) });
  two.gateway.start();
  assert.equal((await two.gateway.ended()).code, 1);
  assert.match(two.gateway.output, /embedded NATS server cannot listen on .*\n.*--nats-listen/);
  await one.gateway.stop();
});

test('a server that was left behind on the store is ended; a process that only has its number is not', async (t) => {
  const { gateway, url, storeDir } = await box(t);
  await gateway.startReady();
  await gateway.stop();
  const leftover = spawn(join(await install(natsRecipe), 'nats-server'), ['-c', join(storeDir, 'nats-server.conf')], {
    stdio: 'ignore',
  });
  killAtEnd(leftover.pid!);
  const gone = once(leftover, 'exit');
  const link = await until('the server that is left behind', () => connectTo(url), { withinMs });
  await link.close();
  await gateway.startReady();
  await gone;
  spareAtEnd(leftover.pid!);
  assert.match(gateway.output, /ended a NATS server that an earlier gateway left on the store/);
  await gateway.stop();
  const stranger = spawn('sleep', ['600'], { stdio: 'ignore' });
  killAtEnd(stranger.pid!);
  t.after(() => void stranger.kill());
  writeFileSync(join(storeDir, 'nats-server.pid'), String(stranger.pid));
  await gateway.startReady();
  assert.ok(isAlive(stranger.pid!));
  await gateway.stop();
});

test('with TLS clients need the certificate and the login that are set; the gateway is one of them', async (t) => {
  const authority = new Authority();
  const own = authority.issue('server');
  const client = authority.issue('client');
  const { gateway, url, storeDir } = await box(t, {
    'nats-tls-cert-file': own.certFile,
    'nats-tls-key-file': own.keyFile,
    'nats-tls-ca-file': authority.caFile,
    'upstream-ca-file': authority.caFile,
    'upstream-cert-file': client.certFile,
    'upstream-key-file': client.keyFile,
    'upstream-user': 'box',
    'upstream-password': 'in the box',
  });
  await gateway.startReady();
  const secure = url.replace('nats://', 'tls://');
  const login = { user: 'box', password: 'in the box' };
  const connect = (more: Partial<NatsSettings>): Promise<NatsLink> => connectNats({ urls: [secure], name: 'test', ...more });
  const { caFile } = authority;
  await assert.rejects(connect({ ...login, tls: { caFile } }), 'no certificate of its own');
  await assert.rejects(connect({ tls: { caFile, ...client } }), { code: 'NATS_UNAUTHORISED' });
  await assert.rejects(
    connect({ ...login, tls: { caFile, ...new Authority('another').issue('client') } }),
    'an unknown authority',
  );
  const link = await connect({ ...login, tls: { caFile, ...client } });
  t.after(() => link.close());
  await publishFrame(link, 'one', [change('a', 1)]);
  await until('the frame downstream', async () => (await readStream(link, 'ES_CHANGES')).length === 1, { withinMs });
  const file = readFileSync(join(storeDir, 'nats-server.conf'), 'utf8');
  for (const line of [`cert_file: '${own.certFile}'`, `ca_file: '${caFile}'`, 'verify: true', "user: 'box'"])
    assert.ok(file.includes(line), line);
  assert.equal(statSync(join(storeDir, 'nats-server.conf')).mode & 0o777, 0o600);
  await gateway.stop();
});

test('an embedded server that is downstream demands the login of that side, and each side may be away at the start', async (t) => {
  const port = await freePort();
  const { gateway, url } = await box(t, {
    'upstream-url': `nats://127.0.0.1:${port}`,
    'upstream-user': 'far',
    'upstream-password': 'p1',
    'downstream-user': 'near',
    'downstream-password': 'p2',
  });
  t.after(async () => void (await gateway.stop()));
  gateway.start();
  await until('the wait for upstream', async () => (await gateway.get('/health/ready')).body.includes(String(port)), {
    withinMs,
  });
  const far = await freshNats({ port, config: "authorization { user: 'far', password: 'p1' }" });
  t.after(() => far.stop());
  await gateway.ready();
  const upstream = await connectNats({ urls: [far.url], name: 'test', user: 'far', password: 'p1' });
  const downstream = await connectNats({ urls: [url], name: 'test', user: 'near', password: 'p2' });
  t.after(async () => void (await Promise.all([upstream.close(), downstream.close()])));
  await publishFrame(upstream, 'one', [change('a', 1)]);
  await until('the frame downstream', async () => (await readStream(downstream, 'ES_CHANGES')).length === 1, { withinMs });
});

test('a box that only collects: the embedded server is upstream of another one', async (t) => {
  const far = await freshNats();
  const { gateway, url } = await box(t, { 'downstream-url': far.url });
  await gateway.startReady();
  const [near, there] = [await connectTo(url), await connectTo(far.url)];
  t.after(async () => {
    await Promise.all([near.close(), there.close(), gateway.stop()]);
    await far.stop();
  });
  await far.kill();
  await publishFrame(near, 'one', [change('a', 1)]);
  await until('readiness to name the far side', async () => /downstream/.test((await gateway.get('/health/ready')).body), {
    withinMs,
  });
  await far.restart();
  await gateway.ready();
  await until('the frame on the far side', async () => (await readStream(there, 'ES_CHANGES')).length === 1, { withinMs });
});

test('users that are set must log in, and the configuration is readable by its owner only', async (t) => {
  const { gateway, url, storeDir } = await box(t, { 'upstream-user': 'u', 'upstream-password': "p'\\x" });
  await gateway.startReady();
  await assert.rejects(connectTo(url), { code: 'NATS_UNAUTHORISED' });
  const file = readFileSync(join(storeDir, 'nats-server.conf'), 'utf8');
  assert.match(file, /sync_interval: 'always'/);
  assert.equal((await gateway.get('/config')).body.includes("p'"), false);
  await gateway.stop();
});

test('make run-gateway-embedded runs it with the given flags, and Ctrl-C ends all of it', async (t) => {
  const [natsPort, adminPort] = [await freePort(), await freePort()];
  const storeDir = join(temporaryDirectory('make'), 'store');
  const make = spawn('make', ['-s', 'run-gateway-embedded', "ARGS=--exclude-patterns 'secret-*'"], {
    cwd: resolve(import.meta.dirname, '../..'),
    env: { ...process.env, NATS_LISTEN: `127.0.0.1:${natsPort}`, ADMIN_LISTEN: `127.0.0.1:${adminPort}`, STORE_DIR: storeDir },
    stdio: 'ignore',
    detached: true,
  });
  killAtEnd(make.pid!);
  const ended = once(make, 'exit');
  t.after(() => make.kill());
  await until('it to be ready', async () => (await fetch(`http://127.0.0.1:${adminPort}/health/ready`)).ok, { withinMs: 60_000 });
  const link = await connectTo(`nats://127.0.0.1:${natsPort}`);
  t.after(() => link.close());
  await publishFrame(link, 'one', [change('secret-a', 1)]);
  await publishFrame(link, 'two', [change('a', 1)]);
  await until('the frame downstream', async () => (await readStream(link, 'ES_CHANGES')).length === 1, { withinMs });
  const server = Number(readFileSync(join(storeDir, 'nats-server.pid'), 'utf8'));
  process.kill(-make.pid!, 'SIGINT');
  await ended;
  spareAtEnd(make.pid!);
  await until('the server to end', () => !isAlive(server), { withinMs });
});

test('a full store slows publishers down or refuses them, and readiness says so', async (t) => {
  const { gateway, url } = await box(t, { 'js-max-file': '16MB' });
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
  assert.match((await gateway.get('/health')).body, /"status":"not ready".*ES_CHANGES(_RAW)? is full/);
  const upstream = (await readStream(link, 'ES_CHANGES_RAW')).flatMap(({ events }) => events.map(({ id }) => id));
  const downstream = (await readStream(link, 'ES_CHANGES')).flatMap(({ events }) => events.map(({ id }) => id));
  assert.deepEqual(
    upstream,
    upstream.map((_, n) => `d${n}`),
  );
  assert.deepEqual(downstream, upstream.slice(0, downstream.length));
  await gateway.stop();
});
