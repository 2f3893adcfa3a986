import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { temporaryDirectory, type Server } from '../../scripts/servers.ts';
import { forbidden, Gate } from '../support/gate.ts';
import { Program, type ProgramName } from '../support/programs.ts';
import { until } from '../support/until.ts';
import { freshNats, sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';

const secret = 'hunter2-is-a-secret';
const directory = temporaryDirectory('bad-input');
let es: string;
let other: string;
let nats: Server;
let gate: Gate;
let files = 0;

before(async () => {
  es = (await sharedElasticsearch('8.19')).url;
  other = (await sharedOpenSearch('2.19')).url;
  nats = await freshNats();
  gate = await Gate.before(es);
});
after(async () => {
  gate.close();
  await nats.stop();
});

type Case = {
  title: string;
  program: ProgramName;
  flags: () => string[];
  env?: Readonly<Record<string, string>>;
  /** 2 for wrong usage, 1 for failure. */
  code: 1 | 2;
  /** The setting, index or host at fault, and the next step. */
  says: readonly RegExp[];
};

const checkpoint = (name = `fresh${files++}`): string => join(directory, name);
/** Lists are joined where a flag comes twice: each is given once. `none-of-these` follows nothing of what others left on the server. */
const flagsOf = (given: { es?: string; nats?: string } = {}): string[] => [
  `--es-hosts=${given.es ?? es}`,
  `--nats-url=${given.nats ?? nats.url}`,
];
const watching = (given: { es?: string; nats?: string; path?: string } = {}): string[] => [
  ...flagsOf(given),
  `--checkpoint-path=${given.path ?? checkpoint()}`,
  '--index-patterns=none-of-these',
];
const nowhere = 'http://127.0.0.1:1';

const cases: readonly Case[] = [
  {
    title: 'an unknown flag',
    program: 'es-watcher',
    flags: () => ['--poll-intervall=5'],
    code: 2,
    says: [/--poll-intervall/, /--poll-interval\b/],
  },
  { title: 'an unknown flag', program: 'es-writer', flags: () => ['--nats=x'], code: 2, says: [/--nats/, /--help/] },
  {
    title: 'a wrong number',
    program: 'es-writer',
    flags: () => ['--batch-size=many'],
    code: 2,
    says: [/--batch-size/, /many/, /1 to 100000|whole number/],
  },
  {
    title: 'a wrong number',
    program: 'es-watcher',
    flags: () => [],
    env: { POLL_INTERVAL: '-5' },
    code: 2,
    says: [/POLL_INTERVAL/, /duration/],
  },
  {
    title: 'patterns that only exclude',
    program: 'es-watcher',
    flags: () => ['--index-patterns=-a*'],
    code: 2,
    says: [/--index-patterns/],
  },
  {
    title: 'a pattern that cannot be part of an index name',
    program: 'es-watcher',
    flags: () => ['--index-patterns=Orders'],
    code: 2,
    says: [/"Orders" is not an index pattern/, /--index-patterns/],
  },
  {
    title: 'a subject that no change has',
    program: 'es-writer',
    flags: () => ['--filter-subjects=orders.>'],
    code: 2,
    says: [/orders\.>/, /--filter-subjects/, /es\.TENANT\.INDEX\.OPERATION/],
  },
  {
    title: 'an unreachable source',
    program: 'es-watcher',
    flags: () => watching({ es: nowhere }),
    code: 1,
    says: [/127\.0\.0\.1:1/, /--es-hosts/],
  },
  {
    title: 'an unreachable target',
    program: 'es-writer',
    flags: () => flagsOf({ es: `http://user:${secret}@127.0.0.1:1` }),
    code: 1,
    says: [/127\.0\.0\.1:1/, /--es-hosts/],
  },
  {
    title: 'an unreachable NATS server',
    program: 'es-watcher',
    flags: () => watching({ nats: `nats://me:${secret}@127.0.0.1:1` }),
    code: 1,
    says: [/127\.0\.0\.1:1/, /--nats-url/],
  },
  {
    title: 'an unreachable NATS server',
    program: 'es-writer',
    flags: () => flagsOf({ nats: `nats://${secret}@127.0.0.1:1` }),
    code: 1,
    says: [/127\.0\.0\.1:1/, /--nats-url/],
  },
  {
    title: 'a NATS server as Elasticsearch',
    program: 'es-watcher',
    flags: () => watching({ es: `http://127.0.0.1:${nats.port}` }),
    code: 1,
    says: [/--es-hosts/],
  },
  {
    title: 'a checkpoint path that is a file',
    program: 'es-watcher',
    flags: () => {
      writeFileSync(join(directory, 'file'), 'x');
      return watching({ path: join(directory, 'file') });
    },
    code: 1,
    says: [/--checkpoint-path/, /file/],
  },
  {
    title: 'a checkpoint path that cannot be made',
    program: 'es-watcher',
    flags: () => watching({ path: join(directory, 'file', 'below') }),
    code: 1,
    says: [/--checkpoint-path/, /file\/below/],
  },
];

for (const one of cases) {
  test(`${one.program}: ${one.title}`, async () => {
    const program = new Program(one.program, {
      flags: one.flags(),
      logFile: join(directory, 'log'),
      ...(one.env === undefined ? {} : { env: one.env }),
    });
    program.start();
    const { code } = await program.ended();
    assert.equal(code, one.code, program.output);
    assertClear(program.output, one.says);
  });
}

function assertClear(output: string, says: readonly RegExp[]): void {
  for (const pattern of says) assert.match(output, pattern);
  assert.doesNotMatch(output, /\n\s+at |node:internal/, 'no stack trace');
  assert.ok(!output.includes(secret), `a secret is shown: ${output}`);
}

test('es-watcher and es-writer: a cluster of a version that is not supported', async () => {
  gate.answer = (_, path) =>
    path.split('?')[0] === '/' ? { status: 200, body: { cluster_uuid: 'x', version: { number: '6.8.23' } } } : undefined;
  for (const name of ['es-watcher', 'es-writer'] as const) {
    const flags = [
      `--es-hosts=${gate.url}`,
      `--nats-url=${nats.url}`,
      ...(name === 'es-watcher' ? [`--checkpoint-path=${checkpoint()}`] : []),
    ];
    const program = new Program(name, { flags, logFile: join(directory, 'log') });
    program.start();
    assert.equal((await program.ended()).code, 1, program.output);
    assertClear(program.output, [/6\.8\.23/, /7\.17/]);
  }
});

/** Runs the watcher until it is ready and ends it: what is left is a checkpoint. */
async function makeCheckpoint(path: string): Promise<void> {
  const program = new Program('es-watcher', {
    flags: watching({ path }),
    logFile: join(directory, 'log'),
  });
  await program.startReady();
  assert.equal((await program.stop()).code, 0, program.output);
}

async function refusal(path: string, cluster = es): Promise<string> {
  const program = new Program('es-watcher', {
    flags: watching({ path, es: cluster }),
    logFile: join(directory, 'log'),
  });
  program.start();
  const { code } = await program.ended();
  assert.equal(code, 1, program.output);
  return program.output;
}

function databaseIn(path: string): string {
  return join(path, 'checkpoint.db');
}

test('es-watcher: a checkpoint of another cluster', async () => {
  const path = checkpoint();
  await makeCheckpoint(path);
  assertClear(await refusal(path, other), [/--checkpoint-path/, /belongs to cluster_uuid/, new RegExp(path)]);
});

test('es-watcher: a corrupt checkpoint', async () => {
  const path = checkpoint();
  mkdirSync(path, { recursive: true });
  writeFileSync(databaseIn(path), 'This is no database, but it is longer than a header of SQLite would be.'.repeat(100));
  assertClear(await refusal(path), [/checkpoint/, new RegExp(path)]);
});

test('es-watcher: a checkpoint of a newer program', async () => {
  const path = checkpoint();
  await makeCheckpoint(path);
  const database = new DatabaseSync(databaseIn(path));
  database.exec('PRAGMA user_version = 999');
  database.close();
  assertClear(await refusal(path), [/newer/, new RegExp(path)]);
});

test('es-watcher: a second watcher on the same checkpoint is refused, and the first goes on', async () => {
  const path = checkpoint();
  const first = new Program('es-watcher', {
    flags: watching({ path }),
    logFile: join(directory, 'log'),
  });
  await first.startReady();
  try {
    assertClear(await refusal(path), [/--checkpoint-path/, new RegExp(path)]);
    assert.equal((await first.get('/health/ready')).status, 200);
  } finally {
    await first.stop();
  }
});

test('--check says what is missing, by name, and changes nothing', async () => {
  gate.answer = (_, path) => (path.includes('_stats') ? forbidden('indices:monitor/stats') : undefined);
  const index = `bad-check-${process.pid}`;
  await fetch(`${es}/${index}`, { method: 'PUT' });
  try {
    const program = new Program('es-watcher', {
      flags: [
        `--es-hosts=${gate.url}`,
        `--nats-url=${nats.url}`,
        `--checkpoint-path=${checkpoint()}`,
        `--index-patterns=${index}`,
      ],
      logFile: join(directory, 'log'),
    });
    program.start(['--check']);
    assert.equal((await program.ended()).code, 1, program.output);
    assertClear(program.output, [/FAIL .*_stats/, new RegExp(index)]);
  } finally {
    await fetch(`${es}/${index}`, { method: 'DELETE' });
  }
});

test('--check tells what is wrong on both sides at once', async () => {
  for (const name of ['es-watcher', 'es-writer'] as const) {
    const own = name === 'es-watcher' ? [`--checkpoint-path=${checkpoint()}`] : [];
    const flags = [...flagsOf({ es: nowhere, nats: `nats://me:${secret}@127.0.0.1:1` }), ...own];
    const program = new Program(name, { flags, logFile: join(directory, 'log') });
    program.start(['--check']);
    assert.equal((await program.ended()).code, 1, program.output);
    assertClear(program.output, [/^FAIL .*--es-hosts/m, /^FAIL .*--nats-url/m]);
  }
});

/**
 * Runs a command with a small file system of its own at `directory`, where the shell command `then` is done first, as a user of the machine
 * who is root in there.
 */
function withFileSystem(directory: string, size: string, then: string): string[] {
  const mount = `mount -t tmpfs -o size=${size} tmpfs "$0" && ${then} && exec "$@"`;
  return ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', mount, directory];
}

const mayMount = spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'true']).status === 0;
const skip = mayMount ? false : 'this machine lets nobody mount';

test('es-watcher: a checkpoint directory that is read-only', { skip }, async () => {
  const path = checkpoint();
  mkdirSync(path);
  const launcher = withFileSystem(path, '1m', 'mount -o remount,ro "$0"');
  const program = new Program('es-watcher', { flags: watching({ path }), logFile: join(directory, 'log'), launcher });
  program.start();
  assert.equal((await program.ended()).code, 1, program.output);
  assertClear(program.output, [/--checkpoint-path/, new RegExp(path), /read-only|written|writable/]);
});

test('es-watcher: a checkpoint directory that is full: it says so, waits, and goes on once there is room', { skip }, async () => {
  const path = checkpoint();
  mkdirSync(path);
  const index = `bad-full-${process.pid}`;
  const documents = 5_000;
  const lines = Array.from(
    { length: documents },
    (_, i) => `{"index":{"_index":"${index}","_id":"${'long-id-'.repeat(20)}${i}"}}\n{"n":${i}}\n`,
  );
  await fetch(`${es}/_bulk?refresh=true`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join(''),
  });
  const program = new Program('es-watcher', {
    flags: [...flagsOf(), `--checkpoint-path=${path}`, `--index-patterns=${index}`],
    logFile: join(directory, 'log'),
    launcher: withFileSystem(path, '20m', 'head -c 19600k /dev/zero > "$0/ballast"'),
  });
  try {
    program.start();
    await until('the watcher to say that the disk is full', () => program.output.includes('CHECKPOINT_FULL'), {
      withinMs: 30_000,
    });
    assertClear(program.output, [/--checkpoint-path/, new RegExp(path), /full/]);
    const says = async (): Promise<boolean> => {
      const { status, body } = await program.get('/health/ready');
      return status === 503 && /checkpoint/.test(body);
    };
    await until('the watcher not to be ready', says, { withinMs: 30_000 });
    rmSync(`/proc/${program.pid}/root${path}/ballast`);
    await until('all documents', async () => (await program.metric('documents_total')) === documents, { withinMs: 30_000 });
    await program.ready();
  } finally {
    await program.stop();
    await fetch(`${es}/${index}`, { method: 'DELETE' });
  }
});
