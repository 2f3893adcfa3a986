import assert from 'node:assert/strict';
import { copyFileSync, cpSync, globSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test, type TestContext } from 'node:test';
import { install } from '../../scripts/provision/cache.ts';
import { clearedEnvironment, command } from '../../scripts/provision/command.ts';
import { natsRecipe } from '../../scripts/provision/nats.ts';
import { nodeHome } from '../../scripts/provision/node.ts';
import { temporaryDirectory } from '../../scripts/servers.ts';
import { assertReplayed, mixedMessages, publishAll, readAll } from '../support/archive-messages.ts';
import { ArchiveStage, linkTo, uniqueName } from '../support/archive-stage.ts';
import { preparePlans, removePlans, standardPlans } from '../support/plans.ts';
import { Program, type ProgramOptions } from '../support/programs.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { sharedElasticsearch, sharedNats, sharedOpenSearch, sharedS3 } from '../support/servers.ts';
import { Workload } from '../support/workload.ts';

/** A release, built once, and each of its artefacts at its main job in the nearest thing to its home. */
const seed = seedOfRun('release');
const random = new Random(seed);
const root = join(import.meta.dirname, '../..');
const dist = temporaryDirectory('release');
const oldestNode = '24.12.0';
/** The system's own directories, and with them no Node: what an artefact needs it must bring. */
const bare = { PATH: '/usr/bin:/bin' };

type Artefact = {
  run: Pick<ProgramOptions, 'executable' | 'launcher' | 'env'>;
  dataDir?: string;
  natsBinary?: string;
};

before(async () => {
  const check = [join(root, 'scripts/release.ts'), 'check', '--unreleased', '--twice'];
  const said = await command(join(root, 'scripts/node.sh'), check, { env: { DIST: dist } });
  assert.match(said, /reproducible .* the same bytes/);
});

describe('what make tarball leaves', () => {
  test('the archive syncs two clusters on a machine without Node', async (t) => {
    const home = await unpack('linux-x64');
    const run = { executable: join(home, 'bin/es-sync'), env: bare };
    await syncs(t, 'glibc', { run });
    await archives(t, run);
  });

  test('the musl archive does in a root directory that holds nothing else', async (t) => {
    const home = await unpack('linux-x64-musl');
    const jail = join(home, 'bin');
    const enter = process.getuid?.() === 0 ? ['chroot'] : ['unshare', '--map-root-user', 'chroot'];
    mkdirSync(join(jail, 'data'));
    const run = { executable: '/es-sync', launcher: [...enter, jail] };
    await syncs(t, 'musl', { run, dataDir: '/data' });
    await archives(t, run);
  });

  test(`the npm package does with Node ${oldestNode}, in an empty folder`, async (t) => {
    const home = temporaryDirectory('npm');
    const node = join(await nodeHome(oldestNode), 'bin');
    const natsBinary = join(await install(natsRecipe), 'nats-server');
    for (const file of globSync('es-sync-gateway-*.tgz', { cwd: dist })) copyFileSync(join(dist, file), join(home, file));
    const env = { PATH: `${node}:${process.env['PATH'] ?? ''}` };
    await runPage('docs/deploy/npm.md', home, env, natsBinary);
    const run = { executable: join(home, 'node_modules/.bin/es-sync'), env };
    await syncs(t, 'npm', { run, natsBinary });
    await archives(t, run);
  });

  test('the commands of docs/deploy/executable.md run', async () => {
    const home = temporaryDirectory('page');
    for (const file of globSync('*-linux-x64.tar.gz*', { cwd: dist })) copyFileSync(join(dist, file), join(home, file));
    await runPage('docs/deploy/executable.md', home, bare);
  });
});

async function unpack(platform: string): Promise<string> {
  const home = temporaryDirectory(platform);
  const [archive] = globSync(`*-${platform}.tar.gz`, { cwd: dist });
  await command('tar', ['-C', home, '-xzf', join(dist, archive!)]);
  return globSync(join(home, 'es-sync-gateway-*'))[0]!;
}

/** The main job of an artefact: a cluster with another in step, stopped and started once on the way. */
async function syncs(t: TestContext, name: string, { run, dataDir, natsBinary }: Artefact): Promise<void> {
  const prefix = `a${seed}${name}`;
  const [source, target] = await Promise.all([sharedElasticsearch('8.19'), sharedOpenSearch('2.19')]);
  const rig = new Rig({
    random,
    prefix,
    source: source.url,
    target: target.url,
    together: (flags, directory) =>
      new Program('es-sync', {
        ...run,
        command: ['run'],
        flags: [
          ...flags,
          `--data-dir=${dataDir ?? join(directory, 'data')}`,
          `--nats-binary=${natsBinary ?? '/nowhere'}`,
          '--js-max-file=256MB',
        ],
        logFile: join(directory, 'es-sync.log'),
      }),
  });
  const plans = standardPlans(prefix, { streams: true, idsEach: 100 });
  await preparePlans(rig.source, rig.target, plans);
  t.after(async () => {
    await rig.stop();
    await Promise.all([removePlans(rig.source, plans), removePlans(rig.target, plans)]);
    await rig.close();
  });
  const work = (part: string): Workload =>
    new Workload({ cluster: rig.source, random: random.fork(name + part), plans, clients: 4, operations: 500 });
  await work('before').run();
  await rig.start();
  await work('during').run();
  assert.deepEqual(await rig.watcher.stop(), { code: 0, signal: null });
  const [tally] = await Promise.all([work('after').run(), rig.start()]);
  assert.deepEqual([...tally.refusals.keys()], []);
  const { documents } = await rig.untilExact();
  rig.assertQuiet();
  t.diagnostic(`SEED=${seed} ${name}: ${documents} documents equal`);
}

/** The main job of nats3 within it: a stream into a bucket, and back. The S3 client is loaded only then. */
async function archives(t: TestContext, { env = {}, ...program }: Artefact['run']): Promise<void> {
  const [nats, s3] = await Promise.all([sharedNats(), sharedS3()]);
  const stage = new ArchiveStage({
    nats: nats.url,
    s3: s3.url,
    credentials: s3.credentials!,
    env,
    program: { ...program, command: ['nats3'] },
  });
  const link = await linkTo(nats.url);
  t.after(async () => {
    await stage.program.stop();
    await link.close();
  });
  const [stream, copy, bucket] = [uniqueName('from'), uniqueName('to'), uniqueName('bucket')];
  for (const name of [stream, copy]) await link.manager.streams.add({ name, subjects: [name] });
  await publishAll(link, stream, mixedMessages(random.fork(stream), 500, [stream]));
  await stage.program.startReady();
  const store = await stage.store({ name: stream, stream, subject: stream, bucket, until: 'end' });
  await stage.finished(`/store/job/${store.name}`);
  const load = await stage.load({ bucket, read_stream: stream, write_subject: copy });
  await stage.finished(`/load/job/${load.name}`);
  assertReplayed(await readAll(link, stream), await readAll(link, copy), () => copy);
}

/** Runs the shell lines of a page, one after the other in one shell, but for those that do not end and those of other tools. */
async function runPage(page: string, home: string, env: Record<string, string>, natsBinary?: string): Promise<void> {
  const text = readFileSync(join(root, page), 'utf8');
  const [source, target] = await Promise.all([sharedElasticsearch('8.19'), sharedOpenSearch('2.19')]);
  const lines = [...text.matchAll(/^ {4}((?:sha256sum|tar|cd|bin\/|npm|node_modules|\.) ?.*)$/gm)]
    .map(([, line]) => line!.replace('http://source:9200', source.url).replace('http://target:9200', target.url))
    .filter((line) => !line.includes('run --source'));
  assert.ok(lines.length >= 4, `${page} has ${lines.length} lines to run`);
  if (natsBinary !== undefined) cpSync(natsBinary, join(home, 'bin', 'nats-server'), { recursive: true });
  const path = natsBinary === undefined ? env['PATH'] : `${join(home, 'bin')}:${env['PATH']}`;
  await command('bash', ['--norc', '-euc', lines.join('\n')], {
    cwd: home,
    env: { ...clearedEnvironment(), ...env, HOME: home, PATH: path },
  });
}
