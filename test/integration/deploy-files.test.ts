import assert from 'node:assert/strict';
import { cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { install } from '../../scripts/provision/cache.ts';
import { command } from '../../scripts/provision/command.ts';
import { hadolintRecipe, promtoolRecipe } from '../../scripts/provision/deploy-tools.ts';
import { temporaryDirectory } from '../../scripts/servers.ts';
import { syncSettings } from '../../src/es-sync/config.ts';
import { watcherSettings } from '../../src/es-watcher/config.ts';
import { writerSettings } from '../../src/es-writer/config.ts';
import { gatewaySettings } from '../../src/nats-gateway/config.ts';
import { nats3Settings } from '../../src/nats3/config.ts';
import { readInvocation } from '../../src/service/config.ts';
import { variableOf, type Schema } from '../../src/service/settings.ts';
import { installSystemd } from '../support/booted.ts';
import { chart, helm, podContainers, render, type Manifest } from '../support/chart.ts';
import type { ContainerSpec } from '../support/container.ts';
import { composeModes, composeServices, type Service } from '../support/compose.ts';
import { kubernetesFaults } from '../support/kubernetes-types.ts';

/** What deploy/ holds, judged by the tools that its users have. That it works is test/e2e/containers.test.ts and units.test.ts. */
const deploy = join(import.meta.dirname, '../../deploy');
const directory = temporaryDirectory('deploy');

const schemas: Readonly<Record<string, Schema>> = {
  'es-watcher': watcherSettings as unknown as Schema,
  'es-writer': writerSettings as unknown as Schema,
  'nats-gateway': gatewaySettings as unknown as Schema,
  'es-sync': syncSettings as unknown as Schema,
  nats3: nats3Settings as unknown as Schema,
};

/** Read by Amazon's own client. */
const amazons = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];

/** Throws where a program would not start with these settings. `local`: where a path of its own is found here. */
async function accepts(
  program: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  local: (path: string) => string = (path) => join(directory, 'nowhere', path),
): Promise<void> {
  const schema = schemas[program];
  if (schema === undefined) return;
  const { configFile } = schema;
  const here = configFile === undefined ? schema : { ...schema, configFile: local(configFile) };
  // The other commands of nats3 are clients of this one.
  if (program === 'nats3') assert.equal(argv[0], 'server');
  await readInvocation(here, program === 'nats3' ? argv.slice(1) : argv, env, '1');
}

/** Read by the C library, not by us. */
const ofTheAllocator = 'MALLOC_ARENA_MAX';

/** Every variable is one that the program reads: one that it does not would be passed over silently. */
function unknownVariables(program: string, variables: readonly string[]): string[] {
  const schema = schemas[program];
  if (schema === undefined) return [];
  const known = new Set([...amazons, ...Object.entries(schema.settings).map(([name, each]) => variableOf(name, each))]);
  return variables.filter((name) => name !== ofTheAllocator && !known.has(name) && !known.has(name.replace(/_FILE$/, '')));
}

test('the Dockerfile passes hadolint', async () => {
  const hadolint = join(await install(hadolintRecipe), 'hadolint');
  assert.equal(await command(hadolint, [join(deploy, 'docker/Dockerfile')]), '');
});

const variables = {
  SOURCE_HOSTS: 'http://source:9200',
  TARGET_HOSTS: 'http://target:9200',
  S3_ACCESS_KEY: 'a',
  S3_SECRET_KEY: 'b',
};

for (const mode of Object.keys(composeModes) as (keyof typeof composeModes)[]) {
  test(`compose, ${mode}: loads, runs our programs locked down, and sets what they read`, async () => {
    const services = await composeServices(mode, variables);
    const ours = [...services].filter(([, { image }]) => image.startsWith('es-sync-gateway'));
    assert.ok(ours.length >= 2);
    for (const [name, service] of ours) {
      const { user, read_only, cap_drop, security_opt, command: words, environment = {} }: Service = service;
      assert.deepEqual(
        [user, read_only, cap_drop, security_opt],
        ['65532:65532', true, ['ALL'], ['no-new-privileges:true']],
        name,
      );
      assert.deepEqual(unknownVariables(words[0]!, Object.keys(environment)), [], name);
      await accepts(words[0]!, words.slice(1), environment);
    }
    await assert.rejects(composeServices(mode, {}), /is not set/);
  });
}

test('docker-bake.hcl names the Dockerfile, both platforms, and arguments that the Dockerfile has', () => {
  const bake = readFileSync(join(deploy, 'docker/docker-bake.hcl'), 'utf8');
  const dockerfile = readFileSync(join(deploy, 'docker/Dockerfile'), 'utf8');
  assert.match(bake, /dockerfile = "deploy\/docker\/Dockerfile"/);
  assert.match(bake, /platforms = \["linux\/amd64", "linux\/arm64"\]/);
  for (const [, name] of bake.matchAll(/args += \{ (\w+) = /g)) assert.match(dockerfile, new RegExp(`^ARG ${name}\\b`, 'm'));
});

/** The secrets that the examples refer to. */
const secrets = {
  'source-cluster': { 'api-key': 'x', 'ca.pem': 'x', password: 'x' },
  'target-cluster': { password: 'x' },
  nats: { 'watcher.creds': 'x' },
  'nats-upstream': { 'gateway.creds': 'x' },
  archive: { 'access-key': 'x', 'secret-key': 'x' },
};

/** Throws where the program of a pod would not start with what is mounted and set there. */
async function acceptsPod({ command: words, env, mounts }: ContainerSpec): Promise<void> {
  const [program, ...argv] = words as [string, ...string[]];
  const local = (path: string): string => {
    const mount = mounts.find(({ target }) => path.startsWith(`${target}/`));
    return mount?.source === undefined ? path : path.replace(mount.target, mount.source);
  };
  assert.deepEqual(unknownVariables(program, Object.keys(env)), []);
  await accepts(program, argv, Object.fromEntries(Object.entries(env).map(([name, value]) => [name, local(value)])), local);
}

for (const file of globSync('examples/*.yaml', { cwd: chart })) {
  test(`chart with ${file}: renders what Kubernetes knows, and settings that the programs take`, async () => {
    const values = join(chart, file);
    assert.match(await helm('lint', '--strict', chart, '--values', values), /0 chart\(s\) failed/);
    const manifests = await render('--values', values);
    assert.equal(await kubernetesFaults(manifests), '');
    for (const pod of podContainers(manifests, { secrets, directory: join(directory, file) }, String)) await acceptsPod(pod);
    const sets = manifests.filter(({ kind }) => kind === 'StatefulSet');
    assert.ok(sets.length > 0);
    for (const kind of ['PodDisruptionBudget', 'NetworkPolicy']) {
      const names = manifests.filter((one) => one.kind === kind).map(({ metadata }) => metadata.name);
      assert.deepEqual(names.sort(), sets.map(({ metadata }) => metadata.name).sort(), kind);
    }
  });
}

test('the judge of manifests finds what is wrong', async () => {
  const [set] = (await render('--values', join(chart, 'examples/source.yaml'))).filter(({ kind }) => kind === 'StatefulSet');
  const text = JSON.stringify(set);
  const misspelt = JSON.parse(text.replace('readinessProbe', 'readynessProbe')) as Manifest;
  assert.match(await kubernetesFaults([misspelt]), /readynessProbe/);
  const ofWrongKind = JSON.parse(text.replace('"replicas":1', '"replicas":"1"')) as Manifest;
  assert.match(await kubernetesFaults([ofWrongKind]), /replicas must be integer/);
});

test('the chart refuses values that cannot be meant', async () => {
  await assert.rejects(render(), /enable at least one/);
  await assert.rejects(render('--set', 'watcher.enabled=true'), /set config\.nats-url/);
  await assert.rejects(render('--set', 'watcher.enabeld=true'), /'enabeld' not allowed/);
  await assert.rejects(render('--set', 'writer.secrets.ES_PASSWORD=hunter2'), /\/writer\/secrets\/ES_PASSWORD/);
});

const units = globSync('*.service', { cwd: join(deploy, 'systemd') }).sort();

/** A root as the units expect it, with stand-ins for the programs: only that they are there is looked at. */
async function unitRoot(): Promise<string> {
  await installSystemd();
  const root = join(directory, 'root');
  for (const path of ['usr/local/bin', 'etc/systemd/system', 'usr/lib/systemd/system'])
    mkdirSync(join(root, path), { recursive: true });
  for (const unit of units) {
    cpSync(join(deploy, 'systemd', unit), join(root, 'etc/systemd/system', unit));
    writeFileSync(join(root, 'usr/local/bin', unit.replace('.service', '')), '', { mode: 0o755 });
  }
  for (const target of ['sysinit', 'basic', 'shutdown', 'network-online', 'multi-user'])
    writeFileSync(join(root, `usr/lib/systemd/system/${target}.target`), '[Unit]\nDefaultDependencies=no\n');
  return root;
}

test('the units: verified, exposed as little as can be, all with the same sandbox', async () => {
  assert.deepEqual(
    units,
    ['es-sync', 'es-watcher', 'es-writer', 'nats-gateway', 'nats3'].map((name) => `${name}.service`),
  );
  const root = await unitRoot();
  await command('systemd-analyze', ['verify', '--man=no', `--root=${root}`, ...units]);
  const files = units.map((unit) => join(root, 'etc/systemd/system', unit));
  // 1.5 of 10 is what is left where a program may make machine code and talk to the network.
  await command('systemd-analyze', ['security', '--offline=yes', '--threshold=15', '--no-pager', ...files]);
  const sandboxes = files.map((file) => readFileSync(file, 'utf8').split('# What the program may do.')[1]);
  assert.equal(new Set(sandboxes).size, 1);
});

test('the units set what the programs read, and the example of settings is taken by all', async () => {
  for (const unit of units) {
    const text = readFileSync(join(deploy, 'systemd', unit), 'utf8');
    const program = unit.replace('.service', '');
    const names = [...text.matchAll(/^Environment=(\w+)=/gm)].map((match) => match[1]!);
    assert.deepEqual(unknownVariables(program, names), [], unit);
  }
  const config = join(deploy, 'systemd/config.yaml');
  for (const program of ['es-watcher', 'es-writer', 'nats-gateway']) await accepts(program, ['--config', config], {});
  await accepts('es-sync', ['--config', config, '--source', 'http://a', '--target', 'http://b'], {});
});

test('promtool takes the alert rules, and their own tests pass', async () => {
  const promtool = join(await install(promtoolRecipe), 'promtool');
  await command(promtool, ['check', 'rules', 'alerts.yaml'], { cwd: join(deploy, 'grafana') });
  await command(promtool, ['test', 'rules', 'alerts.test.yaml'], { cwd: join(deploy, 'grafana') });
});
