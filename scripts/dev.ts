import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, GatewayError } from '../src/core/errors.ts';
import { provision } from './provision.ts';
import { cacheDir, install, withLock } from './provision/cache.ts';
import { natsRecipe } from './provision/nats.ts';
import { isAlive, isFree, startElasticsearch, startNats, startOpenSearch, type Server } from './servers.ts';

/** The development stack: `dev.ts up`, `down`, `clean`, and `env watcher|writer|gateway` for shell assignments that point a program at it. */
type Part = { name: string; url: string; port: number; pid: number; group: number; dataDir: string };

const PARTS = [
  {
    key: 'nats',
    title: 'NATS',
    portFrom: 'DEV_NATS_PORT',
    port: 4222,
    start: (port: number, dataDir: string) => startNats({ port, storeDir: dataDir, stays: true }),
  },
  {
    key: 'elasticsearch/8.19',
    title: 'source',
    portFrom: 'DEV_SOURCE_PORT',
    port: 9200,
    start: (port: number, dataDir: string) => startElasticsearch({ version: '8.19', port, dataDir, stays: true }),
  },
  {
    key: 'opensearch/2.19',
    title: 'target',
    portFrom: 'DEV_TARGET_PORT',
    port: 9201,
    start: (port: number, dataDir: string) => startOpenSearch({ version: '2.19', port, dataDir, stays: true }),
  },
] as const;

type Key = (typeof PARTS)[number]['key'];

const stateFile = cacheDir('dev', 'stack.json');

function read(): Partial<Record<Key, Part>> {
  return existsSync(stateFile) ? (JSON.parse(readFileSync(stateFile, 'utf8')) as Partial<Record<Key, Part>>) : {};
}

function write(stack: Partial<Record<Key, Part>>): void {
  mkdirSync(cacheDir('dev'), { recursive: true });
  writeFileSync(`${stateFile}.new`, JSON.stringify(stack, null, 2));
  renameSync(`${stateFile}.new`, stateFile);
}

/** Whether the process is alive and still ours: its number may have been given to another after a reboot. */
function isOurs(part: Part | undefined): part is Part {
  if (part === undefined || !isAlive(part.pid)) return false;
  const file = `/proc/${part.pid}/cmdline`;
  const line = existsSync(file)
    ? readFileSync(file, 'utf8')
    : execFileSync('ps', ['-o', 'args=', '-p', String(part.pid)], { encoding: 'utf8' });
  return line.includes(part.dataDir);
}

async function up(): Promise<void> {
  await provision(PARTS.map((part) => part.key));
  const stack = read();
  for (const { key, title, portFrom, port: usual, start } of PARTS) {
    const known = stack[key];
    if (!isOurs(known)) {
      const port = Number(process.env[portFrom] || usual);
      if (!(await isFree(port))) {
        const hint = `choose another: make dev-up ${portFrom}=${port + 1000}`;
        throw new GatewayError('DEV_PORT_TAKEN', `port ${port}, for the ${title}, is in use by something else`, { hint });
      }
      process.stdout.write(`${title} … starting\n`);
      const dataDir = cacheDir('dev', key.replace('/', '-'));
      stack[key] = describe(await start(port, dataDir));
      write(stack);
    }
    process.stdout.write(`${title.padEnd(7)} ${stack[key]?.url}  ${stack[key]?.name}  pid ${stack[key]?.pid}\n`);
  }
  process.stdout.write('make run-watcher and make run-writer work against it; make dev-down stops it and keeps its data\n');
}

function describe({ name, url, port, pid, group, dataDir }: Server): Part {
  return { name, url, port, pid, group, dataDir };
}

async function down(): Promise<void> {
  const stack = read();
  for (const { key, title } of PARTS) {
    const part = stack[key];
    if (isOurs(part)) await end(part);
    process.stdout.write(`${title.padEnd(7)} stopped\n`);
  }
  rmSync(stateFile, { force: true });
}

/** SIGTERM, and after half a minute SIGKILL. */
async function end(part: Part): Promise<void> {
  process.kill(-part.group, 'SIGTERM');
  for (let waitedMs = 0; isAlive(part.pid); waitedMs += 50) {
    if (waitedMs === 30_000) process.kill(-part.group, 'SIGKILL');
    await sleep(50);
  }
}

/** Shell assignments for a program; what the caller has set himself goes first. The gateway brings its own server and needs no stack. */
async function environment(program: string): Promise<void> {
  if (program === 'gateway') {
    const binary = join(await install(natsRecipe), 'nats-server');
    print({
      NATS_BINARY: binary,
      STORE_DIR: cacheDir('dev', 'gateway'),
      NATS_LISTEN: '127.0.0.1:4222',
      ADMIN_LISTEN: '127.0.0.1:8080',
    });
    return;
  }
  const stack = read();
  const nats = stack.nats;
  const search = stack[program === 'watcher' ? 'elasticsearch/8.19' : 'opensearch/2.19'];
  if (!isOurs(nats) || !isOurs(search)) {
    throw new GatewayError('DEV_STACK_DOWN', 'the development stack is not running', { hint: 'start it with: make dev-up' });
  }
  print({ ES_HOSTS: search.url, NATS_URL: nats.url, CHECKPOINT_PATH: cacheDir('dev', 'checkpoint') });
}

function print(values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) process.stdout.write(`export ${name}="\${${name}:-${value}}"\n`);
}

async function clean(): Promise<void> {
  await down();
  rmSync(cacheDir('dev'), { recursive: true, force: true });
  process.stdout.write(`removed ${cacheDir('dev')}; the servers stay installed in ${join(cacheDir(), 'servers')}\n`);
}

const [command, argument = ''] = process.argv.slice(2);
try {
  if (command === 'up')
    await withLock('dev', up, (holder) => process.stdout.write(`waiting for another dev-up or dev-down (${holder})\n`));
  else if (command === 'down') await withLock('dev', down);
  else if (command === 'clean') await withLock('dev', clean);
  else if (command === 'env') await environment(argument);
  else throw new Error('usage: dev.ts up | down | clean | env watcher|writer|gateway');
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}
