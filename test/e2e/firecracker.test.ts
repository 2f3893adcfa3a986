import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { makeRootfs } from '../../scripts/firecracker/rootfs.ts';
import { command } from '../../scripts/provision/command.ts';
import { temporaryDirectory } from '../../scripts/servers.ts';
import { type Microvm, startMicrovm } from '../../scripts/servers/microvm.ts';
import { shellLinesOf } from '../support/guide.ts';
import { preparePlans, removePlans, standardPlans } from '../support/plans.ts';
import { sumOfMetric } from '../support/programs.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { Workload } from '../support/workload.ts';

/** The microVM of docs/deploy/firecracker.md, booted from the files that its commands make. */
const root = join(import.meta.dirname, '../..');
const imageDir = join(root, 'dist/firecracker');
const guide = shellLinesOf('docs/deploy/firecracker.md');
const seed = seedOfRun('microvm');
const random = new Random(seed);

/** The line of the guide that begins so. */
function guided(begin: string): string {
  const found = guide.find((line) => line.startsWith(begin));
  assert.ok(found !== undefined, `the guide has no command ${begin}`);
  return found;
}

async function boot(options: Partial<Parameters<typeof startMicrovm>[0]> = {}): Promise<Microvm> {
  return startMicrovm({ imageDir, dataDir: join(temporaryDirectory('microvm'), 'vm'), ...options });
}

async function metric(vm: Microvm, name: string): Promise<number> {
  const text = await (await fetch(`${vm.adminUrl}/metrics`)).text();
  return sumOfMetric(text, `nats_gateway_${name}`);
}

before(async () => {
  const [program = '', ...args] = guided('make ').split(' ');
  await command(program, args, { cwd: root });
});

test('the root drive is a sound file system without a shell, and the same bytes when it is built again', async () => {
  const [built, again] = [join(imageDir, 'rootfs.ext4'), join(temporaryDirectory('rootfs'), 'again.ext4')];
  const programs = join(root, 'dist', `linux-${process.arch}`);
  await makeRootfs({ executable: join(programs, 'es-sync'), natsServer: join(programs, 'nats-server'), output: again });
  assert.equal(Buffer.compare(readFileSync(built), readFileSync(again)), 0);
  await command('e2fsck', ['-fn', built], { env: inSbin });
  const listed = await command('debugfs', ['-R', 'ls -p /usr/bin', built], { env: inSbin });
  const files = [...listed.matchAll(/^\/\d+\/1[02]\d+\/0\/0\/([^/]+)\//gm)].map(([, name]) => name);
  assert.deepEqual(files, ['es-sync', 'nats-gateway', 'nats-server']);
});

test('128 MB: a sync goes through it, loses nothing by a power cut, and Ctrl-Alt-Del ends it cleanly', async (t) => {
  const vm = await boot({ memoryMb: 128 });
  t.after(() => vm.server.kill());
  const rig = new Rig({
    random,
    prefix: `fc${seed}`,
    source: (await sharedElasticsearch('8.19')).url,
    target: (await sharedOpenSearch('2.19')).url,
    nats: vm.natsUrl,
    watcherFlags: ['--stream=ES_CHANGES'],
    writerFlags: ['--stream=ES_CHANGES', '--consumer=es-writer', '--dlq-stream=ES_DLQ'],
  });
  const plans = standardPlans(rig.prefix, { idsEach: 100 });
  await preparePlans(rig.source, rig.target, plans);
  t.after(async () => {
    await rig.stop();
    await Promise.all([removePlans(rig.source, plans), removePlans(rig.target, plans)]);
  });
  const work = (part: string, operations: number): Promise<unknown> =>
    new Workload({ cluster: rig.source, random: random.fork(part), plans, clients: 4, operations }).run();
  const exact = async (): Promise<number> => {
    await until('the gateway to have nothing left', async () => (await metric(vm, 'lag_messages')) === 0, { withinMs: 120_000 });
    const { documents } = await rig.untilExact();
    assert.equal(await metric(vm, 'dead_letters_total'), 0);
    return documents;
  };
  await rig.start();
  await work('before', 300);
  await Promise.all([work('during', 500), vm.server.restart()]);
  t.diagnostic(`${await exact()} documents after a power cut`);
  await work('after', 100);
  await vm.ctrlAltDel();
  await until('the machine to end', () => !vm.server.isRunning(), { withinMs: 60_000 });
  assert.match(vm.console(), /^init \[ *[\d.]+\]: stopped\s*$/m);
  await vm.server.restart();
  t.diagnostic(`${await exact()} documents at the end`);
  assert.equal(vm.console().match(/formatting the blank drive/g)?.length, 1);
});

test('256 MB: settings come from the data drive of the guide and from kernel arguments', async (t) => {
  const dataDir = temporaryDirectory('microvm-data');
  for (const begin of ['mkdir ', 'echo ', 'mke2fs ']) await command('sh', ['-c', guided(begin)], { cwd: dataDir, env: inSbin });
  const vm = await boot({ dataDir, bootArgs: 'LOG_LEVEL=debug' });
  t.after(() => vm.server.kill());
  const shown = await (await fetch(`${vm.adminUrl}/config`)).text();
  assert.match(shown, /"exclude-patterns":\{"value":\["secret-\*"\]/);
  assert.match(shown, /"log-level":\{"value":"debug"/);
  assert.doesNotMatch(vm.console(), /formatting/);
});

test('a drive that holds anything is not formatted: the machine ends and says so', async () => {
  const dataDir = join(temporaryDirectory('microvm'), 'vm');
  await mkdir(dataDir);
  const file = join(dataDir, 'data.ext4');
  writeFileSync(file, Buffer.concat([Buffer.alloc(500_000), Buffer.from('not ours')]));
  truncateSync(file, 64 * 2 ** 20);
  await assert.rejects(boot({ dataDir, memoryMb: 128 }), /init \[ *[\d.]+\]: cannot start: \/data \(Invalid argument\)/);
  assert.equal(readFileSync(file).indexOf('not ours'), 500_000);
});

test('the other commands of the guide', async (t) => {
  const directory = temporaryDirectory('guide');
  await command('sh', ['-c', guided('truncate ')], { cwd: directory });
  // A user and network of its own, where the commands may do no harm.
  await command('unshare', ['-rn', 'sh', '-ec', guide.filter((line) => line.startsWith('ip ')).join('\n')], { env: inSbin });
  const asked: string[] = [];
  const api = createServer((request, response) => {
    request.on('data', (body: Buffer) => asked.push(`${request.method} ${request.url} ${body.toString()}`));
    request.on('end', () => response.writeHead(204).end());
  });
  const listening = Promise.withResolvers<void>();
  api.listen(join(directory, 'es-sync.sock'), listening.resolve);
  t.after(() => api.close());
  await listening.promise;
  await command('sh', ['-c', guided('curl --unix-socket')], { cwd: directory });
  assert.deepEqual(asked, ['PUT /actions {"action_type":"SendCtrlAltDel"}']);
  assert.match(guided('firecracker '), /--config-file vm\.json/);
});

/** Programs for administrators need not be in a user's PATH. */
const inSbin = { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };
