import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { cacheDir } from '../../scripts/provision/cache.ts';
import { freePort, isFree, temporaryDirectory } from '../../scripts/servers.ts';
import { killAtEnd } from '../../scripts/servers/watchdog.ts';
import { Cluster } from '../support/cluster.ts';
import { blockWith, commandsIn } from '../support/doc-commands.ts';
import { until } from '../support/until.ts';

/**
 * Every command of the pages is run, here or by the test that `elsewhere` names. A new one fails this file until it is. Pages on one subject
 * have tests of their own.
 */
const root = resolve(import.meta.dirname, '../..');
const pages = ['README.md', 'CONTRIBUTING.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'docs/**/*.md'];
/** Page → the test that follows it, and words by which it does. */
const followed: Readonly<Record<string, readonly [file: string, mark: string]>> = {
  'docs/deployment-modes.md': ['test/e2e/gateway-modes.test.ts', 'deployment-modes.md'],
  'docs/filters-and-transforms.md': ['test/unit/gateway-guides.test.ts', 'filters-and-transforms.md'],
  'docs/nats3.md': ['test/e2e/nats3-cli.test.ts', 'nats3.md'],
  'docs/deploy/docker.md': ['test/e2e/containers.test.ts', 'docker-push'],
  'docs/deploy/executable.md': ['test/e2e/release.test.ts', 'executable.md'],
  'docs/deploy/firecracker.md': ['test/e2e/firecracker.test.ts', 'firecracker.md'],
  'docs/deploy/kubernetes.md': ['test/integration/deploy-files.test.ts', 'helm'],
  'docs/deploy/npm.md': ['test/e2e/release.test.ts', 'npm'],
  'docs/deploy/systemd.md': ['test/e2e/units.test.ts', 'systemd.md'],
};
/** Written by a program, or a history: what they name need not be run. */
const notInstructions = ['docs/benchmarks.md', 'CHANGELOG.md'];
const shown = commandsIn(root, pages).filter(({ page }) => followed[page] === undefined && !notInstructions.includes(page));

/** Command → the file that runs it, and words by which it does. */
const elsewhere: Readonly<Record<string, readonly [file: string, mark: string]>> = {
  'make demo': ['test/e2e/demo.test.ts', 'scripts/demo.ts'],
  'KEEP=1 make demo': ['test/e2e/demo.test.ts', "KEEP: '1'"],
  'make test': ['.ci/run', 'scripts/test.ts'],
  'make lint': ['.ci/run', 'lint'],
  'MINUTES=30 make soak': ['test/faults/soak.ts', 'MINUTES'],
  'SEED=… make soak': ['test/faults/soak.ts', 'SEED'],
  'make soak-nats3': ['test/faults/soak-nats3.ts', 'MESSAGES'],
  'nats-server -js': ['scripts/servers/nats.ts', 'jetstream {'],
  'scripts/node.sh scripts/docs.ts': ['test/unit/service-programs.test.ts', 'scripts/docs.ts'],
  'make build': ['test/e2e/release.test.ts', 'scripts/release.ts'],
  'make release': ['test/e2e/release.test.ts', 'scripts/release.ts'],
  'make release-check': ['test/e2e/release.test.ts', 'scripts/release.ts'],
  'make release-check ARGS=--twice': ['test/e2e/release.test.ts', '--twice'],
  'make firecracker-kernel': ['test/e2e/firecracker.test.ts', 'firecracker.md'],
  'make provision': ['scripts/test.ts', 'provision()'],
  'make test ONLY=unit': ['scripts/test.ts', 'FOLDERS'],
  'bin/es-watcher --check --es-hosts https://source:9200 --es-api-key KEY --nats-url nats://nats:4222 --checkpoint-path ./checkpoint':
    ['test/e2e/secured.test.ts', '--check'],
  'bin/es-writer  --check --es-hosts https://target:9200 --es-username sync --nats-url nats://nats:4222': [
    'test/e2e/secured.test.ts',
    '--check',
  ],
};

const ran = new Set<string>();
const cache = temporaryDirectory('commands');
const env: Record<string, string> = { ES_SYNC_CACHE: cache, ADMIN_LISTEN: '127.0.0.1:0' };
for (const name of ['PATH', 'HOME', 'TMPDIR', 'LANG']) env[name] = process.env[name] ?? '';
/** What stands in the pages → what it is here. */
let instead: readonly (readonly [string, string])[] = [];

type Done = { code: number; output: string };

/** Runs a command of the pages, as written but for names of hosts, ports and directories; `more` is put behind it. */
async function run(command: string, more = ''): Promise<Done> {
  ran.add(command);
  const text = `${instead.reduce((line, [from, to]) => line.replaceAll(from, to), command)} ${more}`;
  const done = promisify(execFile)('sh', ['-c', text], { cwd: root, env, maxBuffer: 64 * 1024 * 1024 });
  return done.then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({ code: error.code, output: error.stdout + error.stderr }),
  );
}

async function succeeds(command: string, says: RegExp, more = ''): Promise<string> {
  const { code, output } = await run(command, more);
  assert.equal(code, 0, `${command}\n${output}`);
  assert.match(output, says);
  return output;
}

/** A command that goes on until it is told to stop. */
class Background {
  readonly #child;
  output = '';

  constructor(command: string) {
    ran.add(command);
    const text = instead.reduce((line, [from, to]) => line.replaceAll(from, to), command);
    this.#child = spawn('sh', ['-c', `exec ${text}`], { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    killAtEnd(this.#child.pid!);
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on('data', (chunk) => (this.output += String(chunk)));
  }

  /** Address of its admin server, once it does its work. */
  async ready(): Promise<string> {
    const address = await until('the admin server', () => /"address":"([^"]+)"/.exec(this.output)?.[1], { withinMs: 60_000 });
    const isReady = async (): Promise<boolean> => (await fetch(`http://${address}/health/ready`)).ok;
    await until('readiness', isReady, { withinMs: 60_000 }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.output}`);
    });
    return address;
  }

  /** As Ctrl-C does: to the whole group. */
  /** Its exit code; does nothing the second time. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode;
    const ended = new Promise<number | null>((settle) => this.#child.once('close', settle));
    process.kill(-this.#child.pid!, 'SIGINT');
    return ended;
  }
}

// The servers that are installed, and a development stack of our own.
for (const name of ['servers', 'node', 'compiled']) {
  mkdirSync(cacheDir(name), { recursive: true });
  symlinkSync(cacheDir(name), join(cache, name));
}

test('make lists the targets, and every target that the pages name is there', async () => {
  const output = await succeeds('make', /make demo +follow a real Elasticsearch/);
  const named = shown.flatMap(({ command }) => /^(?:[A-Z_]+=\S+ +)*make ([a-z0-9-]+)/.exec(command)?.[1] ?? []);
  for (const target of new Set(named)) {
    assert.match(output, new RegExp(`^  make ${target} `, 'm'));
    const { stdout } = await promisify(execFile)('make', ['-n', target], { cwd: root, env });
    for (const [, script] of stdout.matchAll(/node\.sh ([\w/.-]+\.ts)/g))
      assert.ok(existsSync(join(root, script!)), `make ${target}: ${script}`);
  }
});

test('set-up, one server by name, one test file by name', async () => {
  await succeeds('make setup', /Node v\d+\.\d+\.\d+ and npm packages … (ready|ok)/);
  await succeeds('scripts/node.sh scripts/provision.ts nats elasticsearch/8.19', /\[2\/2\] Elasticsearch 8\.19\.\d+ … ready/);
  await succeeds('scripts/node.sh --test test/unit/core-frame.test.ts', /fail 0/);
  instead = [
    ['FILE', 'scripts/docs.ts --check'],
    ['COMMAND', 'node --version'],
  ];
  await succeeds('scripts/node.sh FILE', /^$/);
  await succeeds('scripts/node.sh --with COMMAND', /^v(2[4-9]|[3-9]\d)\./);
  instead = [['test/integration/servers.test.ts', 'test/unit/service-suggest.test.ts']];
  await succeeds('make test FILES=test/integration/servers.test.ts', /\n1 passed, 0 failed\n$/);
});

test('the development stack and the commands of README and guide on it', async (t) => {
  const [source, target, nats] = [await freePort(), await freePort(), await freePort()];
  const ports = `DEV_SOURCE_PORT=${source} DEV_TARGET_PORT=${target} DEV_NATS_PORT=${nats}`;
  t.after(() => promisify(execFile)('make', ['clean'], { cwd: root, env }));

  const taken = createServer().listen(nats, '127.0.0.1');
  const refused = await run('make dev-up', ports);
  await new Promise((settle) => taken.close(settle));
  assert.notEqual(refused.code, 0);
  assert.match(refused.output, new RegExp(`port ${nats}, for the NATS, is in use.*make dev-up DEV_NATS_PORT=`));
  assert.match((await run('make run-watcher')).output, /start it with: make dev-up/);

  instead = [['DEV_SOURCE_PORT=19200', ports]];
  await succeeds('make dev-up DEV_SOURCE_PORT=19200', new RegExp(`source +http://127.0.0.1:${source} +Elasticsearch 8.19`));
  await succeeds('make dev-up', new RegExp(`target +http://127.0.0.1:${target}`));
  const [from, to] = [new Cluster(`http://127.0.0.1:${source}`), new Cluster(`http://127.0.0.1:${target}`)];
  t.after(() => Promise.all([from.close(), to.close()]));
  const write = (index: string, id: number): Promise<unknown> => from.json('PUT', `/${index}/_doc/${id}?refresh=true`, { id });
  const arrives = (index: string, documents: number): Promise<true> =>
    until(`${documents} documents in ${index}`, () => holds(to, index, documents), { withinMs: 60_000 });

  await write('orders-1', 1);
  const [watcher, writer] = [new Background('make run-watcher'), new Background('make run-writer')];
  await Promise.all([watcher.ready(), writer.ready()]);
  await arrives('orders-1', 1);
  assert.deepEqual([await watcher.stop(), await writer.stop()].map(Boolean), [false, false], 'Ctrl-C ends them well');
  await to.json('DELETE', '/orders-1');

  const directory = temporaryDirectory('commands-run');
  instead = [
    ['http://source:9200', from.url],
    ['http://target:9200', to.url],
    ['nats://localhost:4222', `nats://127.0.0.1:${nats}`],
    ['./checkpoint', join(directory, 'checkpoint')],
    ['sync.yaml', join(directory, 'sync.yaml')],
    ['https://source-1:9200, https://source-2:9200', from.url],
    ['https://target:9200', to.url],
    ['nats://nats:4222', `nats://127.0.0.1:${nats}`],
    ['/var/lib/es-watcher', join(directory, 'var')],
  ];
  const checks = shown.filter(({ page, command }) => page === 'README.md' && command.includes('--check'));
  assert.equal(checks.length, 2);
  for (const { command } of checks) assert.doesNotMatch(await succeeds(command, /^ok {3}/m), /FAIL/);
  assert.ok(!existsSync(join(directory, 'checkpoint')), '--check changes nothing');

  const guide = readFileSync(join(root, 'docs/guide.md'), 'utf8');
  const yaml = instead.reduce((text, [before, now]) => text.replaceAll(before, now), blockWith(guide, 'es-watcher:'));
  // A consumer of its own: the one above has read what is there.
  writeFileSync(join(directory, 'sync.yaml'), yaml.replace('es-writer:\n', 'es-writer:\n  consumer: guide\n'));
  await write('orders-test-1', 1);
  await write('customers', 1);
  const guided = [new Background('bin/es-watcher --config sync.yaml'), new Background('bin/es-writer  --config sync.yaml')];
  t.after(() => Promise.all(guided.map((one) => one.stop())));
  const [watching, writing] = (await Promise.all(guided.map((one) => one.ready()))) as [string, string];
  await Promise.all([arrives('eu-orders-1', 1), arrives('customers', 1)]);
  assert.equal((await to.send('GET', '/eu-orders-test-1')).status, 404);

  instead = [
    ['127.0.0.1:8081', watching],
    ['127.0.0.1:8082', writing],
  ];
  const answers: Readonly<Record<string, RegExp>> = {
    'http://127.0.0.1:8081/health': /"status":"ok"/,
    'http://127.0.0.1:8081/health/ready': /ok/,
    'http://127.0.0.1:8081/stats': /"lagOperations":0/,
    'http://127.0.0.1:8082/stats': /"deadLetters"/,
    'http://127.0.0.1:8081/metrics': /^es_watcher_lag_seconds\{/m,
  };
  const curls = shown.filter(({ command }) => command.startsWith('curl '));
  assert.deepEqual(new Set(curls.map(({ command }) => command.split(' ').at(-1)!)), new Set(Object.keys(answers)));
  for (const { command } of curls) await succeeds(command, answers[command.split(' ').at(-1)!]!);
  for (const one of guided) assert.equal(await one.stop(), 0, one.output);

  await succeeds('make dev-down', /source +stopped/);
  for (const port of [source, target, nats]) assert.ok(await isFree(port), `${port} is free again`);
  assert.ok(existsSync(join(cache, 'dev/elasticsearch-8.19/data')), 'the data stays');
  await succeeds('make clean', /removed .*dev; the servers stay/);
  assert.ok(!existsSync(join(cache, 'dev')));
});

async function holds(cluster: Cluster, index: string, documents: number): Promise<boolean> {
  const { status } = await cluster.send('POST', `/${index}/_refresh`);
  return status === 200 && (await cluster.count(index)) === documents;
}

test('no command of the pages is left out', () => {
  const missing = shown.filter(({ command }) => !ran.has(command) && elsewhere[command] === undefined);
  assert.deepEqual(missing, [], 'commands of the pages that no test runs');
  for (const [command, [file, mark]] of Object.entries(elsewhere)) {
    assert.ok(
      shown.some((one) => one.command === command),
      `no page shows ${command}`,
    );
    assert.ok(readFileSync(join(root, file), 'utf8').includes(mark), `${file} does not run ${command}`);
  }
  for (const [page, [file, mark]] of Object.entries(followed)) {
    assert.ok(existsSync(join(root, page)), `${page} is gone`);
    assert.ok(readFileSync(join(root, file), 'utf8').includes(mark), `${file} does not follow ${page}`);
  }
});
