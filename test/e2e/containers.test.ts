import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { command } from '../../scripts/provision/command.ts';
import type { Engine } from '../../scripts/provision/engine.ts';
import { freePort, temporaryDirectory } from '../../scripts/servers.ts';
import { archiveStream } from '../support/archive-stage.ts';
import { podContainers, render } from '../support/chart.ts';
import { composeModes, composeServices, serviceContainer } from '../support/compose.ts';
import { Container, type ContainerSpec } from '../support/container.ts';
import { Stage } from '../support/deployed.ts';
import { buildImage, make } from '../support/image.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { sharedS3 } from '../support/servers.ts';

/** The image of deploy/docker, and what the compose files and the chart make of it: real containers between real clusters. */
const seed = seedOfRun('containers');
const random = new Random(seed);
const running: Container[] = [];
let engine: Engine;
let image = '';
let directory = '';

before(async () => {
  ({ engine, image, directory } = await buildImage());
});

after(async () => {
  for (const container of running) await container.remove();
  await command(engine.program, ['rmi', '--force', image], { env: engine.env });
});

async function start(spec: ContainerSpec): Promise<Container> {
  const container = await Container.start(engine, spec);
  running.push(container);
  return container;
}

test('the image: five programs and nothing else, not root, a health check that asks the program', async () => {
  const [config] = JSON.parse(await command(engine.program, ['image', 'inspect', image], { env: engine.env })) as [
    { Config: { User: string; Env: string[]; Healthcheck?: { Test: string[] } }; HealthCheck?: { Test: string[] }; Size: number },
  ];
  assert.equal(config.Config.User, '65532:65532');
  const run = (...args: string[]) =>
    command(engine.program, ['run', '--rm', '--read-only', '--network', 'none', image, ...args], { env: engine.env });
  assert.match(await run(), /^es-sync \d.*\n\nUsage: es-sync COMMAND/);
  for (const program of ['es-watcher', 'nats-gateway', 'es-writer', 'es-sync', 'nats3'])
    assert.match(await run(program, '--version'), new RegExp(`^${program} \\d`));
  await assert.rejects(run('sh', '-c', 'true'), /executable file/);
});

test('make docker-push puts the image where it is told to', async () => {
  if (engine.program === 'docker') return;
  const to = join(directory, 'pushed');
  await make(engine, 'docker-push', `IMAGE=${image.split(':')[0]}`, 'VERSION=test', `TO=oci:${to}`);
  assert.ok(existsSync(join(to, 'index.json')));
});

type Mode = keyof typeof composeModes;

/** Containers find each other by the names of their services; here all are on the loopback interface, at ports of their own. */
async function startMode(mode: Mode, given: Record<string, string>, s3 = ''): Promise<Map<string, Container>> {
  const natsPort = await freePort();
  const services = await composeServices(mode, { IMAGE: image, ...given });
  const containers = new Map<string, Container>();
  const begin = async (name: string): Promise<void> => {
    const service = services.get(name)!;
    // Its image is another's, and would have to be fetched: `s3` is the same server without it.
    if (containers.has(name) || service.image !== image) return;
    for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
      await begin(needed);
      if (condition === 'service_healthy') await containers.get(needed)!.ready();
    }
    const spec = serviceContainer(`${mode}${seed}`, name, service);
    const here = (text: string) =>
      text.replace(/\/\/(nats|nats-gateway):4222/, `//127.0.0.1:${natsPort}`).replace('http://s3:7070', s3);
    const env = {
      ...Object.fromEntries(Object.entries(spec.env).map(([key, value]) => [key, here(value)])),
      NATS_LISTEN: `127.0.0.1:${natsPort}`,
    };
    const flags = name === 'nats' ? ['--addr', '127.0.0.1', '--port', String(natsPort)] : [];
    containers.set(name, await start({ ...spec, env, command: [...spec.command, ...flags] }));
  };
  for (const name of services.keys()) await begin(name);
  for (const [name, container] of containers) if (name !== 'nats') await container.ready();
  return containers;
}

for (const mode of ['direct', 'gateway', 'embedded'] as const) {
  test(`${composeModes[mode].join(' + ')}: read-only containers keep two clusters the same, killed on the way`, async (t) => {
    const stage = await Stage.open(`c${mode}${seed}`, random);
    t.after(() => stage.close());
    await stage.work('before', 200);
    const containers = await startMode(mode, {
      SOURCE_HOSTS: stage.source.url,
      TARGET_HOSTS: stage.target.url,
      INDEX_PATTERNS: `${stage.prefix}-*`,
    });
    const watcher = containers.get('es-watcher')!;
    assert.deepEqual(await watcher.exec('es-watcher', '--probe', 'ready'), { ok: true, output: '{"status":"ok"}\n' });
    const killed = containers.get(mode === 'direct' ? 'es-writer' : 'nats-gateway')!;
    await Promise.all([
      stage.work('during', 300),
      // What the gateway's own server has acknowledged is there again: it ends with the container, and starts with it.
      killed.kill().then(() => killed.start()),
    ]);
    t.diagnostic(`${await stage.untilExact()} documents`);
    for (const name of ['es-watcher', 'es-writer']) assert.equal(await containers.get(name)!.stop(), 0, `${name} drains`);
    const unanswered = await watcher.exec('es-watcher', '--probe', 'ready');
    assert.equal(unanswered.ok, false);
  });
}

test(`${composeModes.nats3.join(' + ')}: archives a stream`, async () => {
  const { url, credentials } = await sharedS3();
  const keys = { S3_ACCESS_KEY: credentials!.accessKey, S3_SECRET_KEY: credentials!.secretKey };
  const containers = await startMode('nats3', keys, url);
  const nats3 = containers.get('nats3')!;
  const ran = async (...args: string[]): Promise<string> => {
    const { ok, output } = await nats3.exec('nats3', ...args);
    assert.ok(ok, output);
    return output;
  };
  assert.equal(await archiveStream(nats3.spec.env['NATS_URL']!, ['--server', nats3.url], `c${seed}`, ran), 40);
  assert.equal(await nats3.stop(), 0);
});

test('the chart: pods with their claims, settings and secrets keep two clusters the same', async (t) => {
  const stage = await Stage.open(`h${seed}`, random);
  t.after(() => stage.close());
  const natsPort = await freePort();
  const [repository, tag] = image.split(':');
  const token = { name: 'nats', key: 'token' };
  const values = {
    image: { repository, tag },
    gateway: {
      enabled: true,
      config: { embedded: true, 'nats-listen': `127.0.0.1:${natsPort}` },
      secrets: { UPSTREAM_TOKEN: token },
    },
    watcher: {
      enabled: true,
      config: { 'es-hosts': [stage.source.url], 'index-patterns': [`${stage.prefix}-*`] },
      secrets: { NATS_TOKEN: token },
    },
    writer: { enabled: true, config: { 'es-hosts': [stage.target.url] }, secrets: { NATS_TOKEN: token } },
  };
  const file = join(temporaryDirectory('values'), 'values.json');
  writeFileSync(file, JSON.stringify(values));
  const manifests = await render('--values', file);
  const node = { secrets: { nats: { token: `t${seed}` } }, directory: temporaryDirectory('pods') };
  const here = (text: string) => text.replaceAll('sync-es-sync-gateway-nats:4222', `127.0.0.1:${natsPort}`);
  const containers: Container[] = [];
  await stage.work('before', 200);
  for (const spec of podContainers(manifests, node, here)) containers.push(await start(spec));
  for (const container of containers) await container.ready();
  await stage.work('during', 300);
  t.diagnostic(`${await stage.untilExact()} documents`);
  for (const container of containers) assert.equal(await container.stop(), 0);
});
