import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { temporaryDirectory } from '../../scripts/servers.ts';
import { Authority } from '../support/certificates.ts';
import { Cluster } from '../support/cluster.ts';
import { preparePlans, removePlans, standardPlans } from '../support/plans.ts';
import { Program } from '../support/programs.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig, type RigOptions } from '../support/rig.ts';
import { freshElasticsearch, freshNats } from '../support/servers.ts';
import { Workload } from '../support/workload.ts';

/** As a careful company runs them: TLS by an authority of its own, and users who may do what docs/guide.md says, and no more. */
const seed = seedOfRun('secured');
const admin = { user: 'admin', password: 'admin-secret' };
const secret = 'hunter2-is-a-secret';
const authority = new Authority();
const directory = temporaryDirectory('secured');
let source: Cluster;
let target: Cluster;
let natsConfig: string;
let number = 0;

before(async () => {
  const certificate = authority.issue('server');
  const security = { ...admin, ...certificate, caFile: authority.caFile };
  const access = { ...admin, ca: readFileSync(authority.caFile, 'utf8') };
  const servers = [await freshElasticsearch('8.19', { security }), await freshElasticsearch('9.4', { security })];
  [source, target] = servers.map(({ url }) => new Cluster(url, access)) as [Cluster, Cluster];
  const { certFile, keyFile } = certificate;
  natsConfig = `tls { cert_file: "${certFile}", key_file: "${keyFile}", ca_file: "${authority.caFile}", verify: true }
      authorization { users: [ { user: sync, password: "${secret}" } ] }`;
});
after(() => Promise.all([source.close(), target.close()]));

/** docs/guide.md, *Privileges*. */
const sourcePrivileges = ['read', 'monitor', 'view_index_metadata', 'maintenance'];
const targetPrivileges = ['index', 'delete', 'create_index', 'view_index_metadata', 'manage'];

function secretFile(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
  return file;
}

const natsClient = authority.issue('client');
const natsFlags = [
  `--nats-ca-file=${authority.caFile}`,
  `--nats-cert-file=${natsClient.certFile}`,
  `--nats-key-file=${natsClient.keyFile}`,
  '--nats-user=sync',
];
const natsEnv = { NATS_PASSWORD_FILE: secretFile('nats', secret) };

type Rights = { source?: readonly string[]; target?: readonly string[] };

/** A rig whose watcher logs in as a user, and whose writer by an API key; both have the guide's privileges on the rig's indices. */
async function stage(t: TestContext, rights: Rights = {}, options: Partial<RigOptions> = {}) {
  const prefix = `sec${seed}${number++}`;
  const names = [`${prefix}-*`, `.ds-${prefix}-*`];
  const reader = { cluster: ['monitor'], indices: [{ names, privileges: rights.source ?? sourcePrivileges }] };
  await source.json('PUT', `/_security/role/${prefix}`, reader);
  await source.json('PUT', `/_security/user/${prefix}`, { password: secret, roles: [prefix] });
  const writer = { cluster: ['monitor'], indices: [{ names, privileges: rights.target ?? targetPrivileges }] };
  const key = { name: prefix, role_descriptors: { writer } };
  const { encoded } = (await target.json('POST', '/_security/api_key', key)) as { encoded: string };
  const nats = await freshNats({ config: natsConfig });
  const rig = new Rig({
    random: new Random(`${seed}/${number}`),
    prefix,
    source,
    target,
    nats: nats.url.replace('nats://', 'tls://'),
    watcherFlags: [`--es-ca-file=${authority.caFile}`, `--es-username=${prefix}`, ...natsFlags],
    watcherEnv: { ...natsEnv, ES_PASSWORD_FILE: secretFile(`${prefix}-password`, secret) },
    writerFlags: [`--es-ca-file=${authority.caFile}`, ...natsFlags],
    writerEnv: { ...natsEnv, ES_API_KEY_FILE: secretFile(`${prefix}-key`, encoded) },
    ...options,
  });
  t.after(() => rig.stop().then(() => nats.stop()));
  return { rig, prefix, apiKey: encoded };
}

/** `--check` of a program that does not run now. */
async function check(program: Program): Promise<{ code: number | null; output: string }> {
  program.start(['--check']);
  const { code } = await program.ended();
  assert.doesNotMatch(program.output, new RegExp(secret));
  return { code, output: program.output };
}

test('two secured clusters and a secured NATS: the privileges of the guide are enough, and no secret is shown', async (t) => {
  const { rig, prefix, apiKey } = await stage(t);
  const plans = standardPlans(prefix, { streams: true, idsEach: 200 });
  await preparePlans(source, target, plans);
  t.after(() => Promise.all([removePlans(source, plans), removePlans(target, plans)]));
  const workload = (part: string): Promise<unknown> =>
    new Workload({ cluster: source, random: new Random(`${seed}/${part}`), plans, clients: 4, operations: 800 }).run();
  await workload('before');
  for (const program of [rig.watcher, rig.writer]) {
    const { code, output } = await check(program);
    assert.equal(code, 0, output);
    assert.doesNotMatch(output, /^FAIL/m);
    assert.match(output, program === rig.watcher ? /^ok +may call +_refresh/m : /^ok +target/m);
  }
  await rig.start();
  await workload('during');
  const { documents } = await rig.untilExact();
  assert.ok(documents > 100, `${documents} documents`);
  rig.assertQuiet();
  const settings = await target.json('GET', `/${prefix}-plain/_settings/index.gc_deletes?flat_settings=true`);
  assert.match(JSON.stringify(settings), /"index.gc_deletes":"(1h|3600000ms)"/);
  assert.deepEqual([(await rig.watcher.stop()).code, (await rig.writer.stop()).code], [0, 0]);
  const written = await check(rig.writer);
  assert.equal(written.code, 0, written.output);
  assert.match(written.output, new RegExp(`^ok +may write +${prefix}-plain`, 'm'));
  for (const program of [rig.watcher, rig.writer]) assert.ok(!program.tail(1_000).includes(apiKey));
});

async function plainIndex(prefix: string): Promise<string> {
  const index = `${prefix}-plain`;
  for (let id = 0; id < 20; id++) await source.json('PUT', `/${index}/_doc/${id}`, { n: id });
  return index;
}

test('who may not refresh is told so by --check, and runs with --refresh passive', async (t) => {
  const { rig, prefix } = await stage(t, { source: sourcePrivileges.filter((one) => one !== 'maintenance') });
  const index = await plainIndex(prefix);
  const { code, output } = await check(rig.watcher);
  assert.equal(code, 1, output);
  assert.match(output, new RegExp(`FAIL may call +_refresh \\(privilege maintenance, or --refresh passive\\) on ${index}`));
  rig.watcher.start(['--refresh=passive']);
  await rig.writer.startReady();
  await rig.watcher.ready();
  await source.json('DELETE', `/${index}/_doc/7`);
  await rig.untilExact();
});

test('a writer that may not manage the indices says what it does without, and writes', async (t) => {
  const { rig, prefix } = await stage(t, { target: targetPrivileges.filter((one) => one !== 'manage') });
  const index = await plainIndex(prefix);
  await rig.start();
  await rig.untilExact();
  assert.match(rig.writer.output, new RegExp(`"index":"${index}".*index\\.gc_deletes cannot be raised`));
  await rig.stop();
  const { code, output } = await check(rig.writer);
  assert.equal(code, 0, output);
  assert.match(output, new RegExp(`^warn may write +${index}, but not manage it`, 'm'));
});

type Attempt = {
  title: string;
  hosts?: () => string;
  flags?: readonly string[];
  env?: Record<string, string>;
  says: readonly RegExp[];
};

const stranger = new Authority('stranger');
const login = [`--es-username=${admin.user}`];
const password = { ES_PASSWORD: admin.password };
const trusting = `--es-ca-file=${authority.caFile}`;

const attempts: readonly Attempt[] = [
  { title: 'no authority given', says: [/no trusted connection to https:/, /--es-ca-file \(ES_CA_FILE\)/] },
  {
    title: 'another authority',
    flags: [`--es-ca-file=${stranger.caFile}`],
    says: [/no trusted connection to https:/, /--es-ca-file \(ES_CA_FILE\)/],
  },
  {
    title: 'an authority file that is not there',
    flags: ['--es-ca-file=/nowhere/ca.pem'],
    says: [/\/nowhere\/ca\.pem/, /--es-ca-file \(ES_CA_FILE\)/],
  },
  {
    title: 'an authority file that is none',
    flags: [`--es-ca-file=${secretFile('not.pem', 'not a certificate')}`],
    says: [/--es-ca-file \(ES_CA_FILE\)/],
  },
  {
    title: 'http where the cluster wants https',
    hosts: () => source.url.replace('https:', 'http:'),
    says: [/--es-hosts/, /https:\/\/ where the cluster uses TLS/],
  },
  { title: 'no login', flags: [trusting], says: [/with 401/, /--es-username, --es-api-key/] },
  {
    title: 'a wrong password',
    flags: [trusting, ...login],
    env: { ES_PASSWORD: secret },
    says: [/with 401/, /does not accept the credentials/, /--es-username/],
  },
  { title: 'a wrong API key', flags: [trusting], env: { ES_API_KEY: `id:${secret}` }, says: [/with 401/, /--es-api-key/] },
];

function programOf(name: 'es-watcher' | 'es-writer', nats: string, { hosts, flags = [], env = {} }: Partial<Attempt>): Program {
  const own = name === 'es-watcher' ? ['--checkpoint-path=:memory:', '--index-patterns=none-of-these'] : [];
  const all = [`--es-hosts=${hosts?.() ?? source.url}`, `--nats-url=${nats}`, ...own, ...flags];
  return new Program(name, { flags: all, env, logFile: join(directory, 'log') });
}

test('what does not let a program in is named with its setting, and ends it', async (t) => {
  const nats = await freshNats();
  t.after(() => nats.stop());
  for (const attempt of attempts) {
    for (const name of ['es-watcher', 'es-writer'] as const) {
      const program = programOf(name, nats.url, attempt);
      program.start();
      const { code } = await program.ended();
      const said = `${name}, ${attempt.title}: ${program.output}`;
      assert.equal(code, 1, said);
      for (const pattern of attempt.says) assert.match(program.output, pattern, said);
      assert.ok(!program.output.includes(secret), said);
      assert.doesNotMatch(program.output, /\n\s+at |--use-system-ca/, said);
    }
  }
});

test('--es-insecure-tls takes any certificate, and says so', async (t) => {
  const nats = await freshNats();
  t.after(() => nats.stop());
  for (const name of ['es-watcher', 'es-writer'] as const) {
    const program = programOf(name, nats.url, { flags: [...login, '--es-insecure-tls'], env: password });
    await program.startReady();
    assert.match(program.output, /"level":"warn".*any certificate is accepted \(--es-insecure-tls\)/);
    assert.equal((await program.stop()).code, 0);
  }
});
