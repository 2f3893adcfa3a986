import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { until } from '../support/until.ts';

const PROGRAM = join(import.meta.dirname, '../support/service-program.ts');
const children = new Set<ChildProcess>();
afterEach(() => children.forEach((child) => child.kill('SIGKILL')));

type LogLine = Record<string, unknown> & { level: string; msg: string };

class Tiny {
  readonly child: ChildProcess;
  readonly ended: Promise<number | string>;
  out = '';
  err = '';

  constructor(argv: string[], env: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [PROGRAM, ...argv], { env: { PATH: process.env['PATH'], ...env } });
    children.add(this.child);
    this.child.stdout!.on('data', (chunk: Buffer) => (this.out += chunk.toString()));
    this.child.stderr!.on('data', (chunk: Buffer) => (this.err += chunk.toString()));
    this.ended = new Promise((resolve) => this.child.on('close', (code, signal) => resolve(code ?? signal ?? 'none')));
  }

  lines(): LogLine[] {
    return this.out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as LogLine);
  }

  line(msg: string): Promise<LogLine> {
    return until(`the log line "${msg}"`, () => this.lines().find((line) => line.msg.startsWith(msg)), { withinMs: 10_000 });
  }

  told(text: string): Promise<true> {
    return until(`"${text}" on stderr`, () => this.err.includes(text) || undefined, { withinMs: 10_000 });
  }

  async get(path: string): Promise<{ status: number; type: string | null; text: string; json(): unknown }> {
    const { address } = await this.line('admin server listens');
    const response = await fetch(`http://${String(address)}${path}`);
    const text = await response.text();
    return { status: response.status, type: response.headers.get('content-type'), text, json: () => JSON.parse(text) as unknown };
  }
}

test('SIGTERM and SIGINT drain and exit 0', async () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const tiny = new Tiny([]);
    await tiny.line('admin server listens');
    tiny.child.kill(signal);
    assert.equal(await tiny.ended, 0);
    assert.match(tiny.err, /act: stop/);
    assert.deepEqual(
      tiny
        .lines()
        .map(({ msg }) => msg)
        .slice(-2),
      ['stopping: finishing what is under way', 'stopped'],
    );
  }
});

test('a second signal exits at once, with the code of that signal', async () => {
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    const tiny = new Tiny(['--act', 'hang-stop']);
    await tiny.line('started');
    tiny.child.kill('SIGTERM');
    await tiny.told('act: stop');
    tiny.child.kill(signal);
    assert.equal(await tiny.ended, code);
  }
});

test('a drain that takes too long, or fails, ends with 1 and says so', async () => {
  const slow = new Tiny(['--act', 'hang-stop', '--drain-timeout', '50ms']);
  await slow.line('started');
  slow.child.kill('SIGTERM');
  assert.equal(await slow.ended, 1);
  assert.match(slow.lines().at(-1)!.msg, /not finished within --drain-timeout 50ms/);
  const failing = new Tiny(['--act', 'fail-stop']);
  await failing.line('started');
  failing.child.kill('SIGTERM');
  assert.equal(await failing.ended, 1);
  assert.equal(failing.lines().at(-1)!['code'], 'FLUSH_FAILED');
});

test('a signal while it starts ends it with 0', async () => {
  const tiny = new Tiny(['--act', 'wait-start']);
  await tiny.told('act: start');
  assert.deepEqual((await tiny.get('/health/ready')).json(), { status: 'not ready', reasons: ['starting'] });
  tiny.child.kill('SIGTERM');
  assert.equal(await tiny.ended, 0);
});

test('work that ends by itself ends with 0, work that fails with 1 and a log line without a stack', async () => {
  assert.equal(await new Tiny(['--act', 'finish']).ended, 0);
  const failing = new Tiny(['--act', 'fail-work']);
  assert.equal(await failing.ended, 1);
  const { level, code, hint, msg, err } = failing.lines().at(-1)!;
  assert.deepEqual(
    { level, code, hint, msg, err },
    { level: 'fatal', code: 'STREAM_LOST', hint: 'bring it back', msg: 'the stream is gone', err: undefined },
  );
});

test('what nobody foresaw is one fatal line with a stack, without secrets, and 1', async () => {
  for (const [act, message] of [
    ['crash-work', /Cannot read properties of undefined/],
    ['reject', /rejected with \*\*\*/],
    ['crash-start', /start is broken/],
  ] as const) {
    const tiny = new Tiny(['--act', act], { PASSWORD: 'hunter2' });
    assert.equal(await tiny.ended, 1);
    const fatal = tiny.lines().filter(({ level }) => level === 'fatal');
    assert.equal(fatal.length, 1);
    assert.match((fatal[0]!['err'] as { stack: string }).stack, message);
    assert.match((fatal[0]!['err'] as { stack: string }).stack, /\n +at /);
    assert.doesNotMatch(tiny.out + tiny.err, /hunter2/);
  }
});

test('a failed start is plain text on stderr: 1, or 2 for wrong usage', async () => {
  const refused = new Tiny(['--act', 'refuse-start'], { PASSWORD: 'hunter2' });
  assert.equal(await refused.ended, 1);
  assert.equal(refused.err, 'act: start\ntiny: cannot log in with ***\n  check --password\n');
  const misused = new Tiny(['--act', 'misuse-start']);
  assert.equal(await misused.ended, 2);
  const unknown = new Tiny(['--atc', 'work']);
  assert.equal(await unknown.ended, 2);
  assert.equal(unknown.err, 'tiny: unknown flag --atc; did you mean --act?\n  --help lists all flags\n');
  assert.equal(unknown.out, '');
});

test('help, version and the settings in force go to stdout, and nothing starts', async () => {
  for (const [flag, expected] of [
    ['--help', /^tiny \d.*\n\nUsage: tiny \[flags\]/],
    ['--version', /^tiny \d+\.\d+\.\d+\n$/],
    ['--print-config', /\ntiny:\n {2}act: work +# default\n/],
  ] as const) {
    const tiny = new Tiny([flag]);
    assert.equal(await tiny.ended, 0);
    assert.match(tiny.out, expected);
    assert.equal(tiny.err, '');
  }
});

test('--check reports on stdout and exits 0, or 1 if something is wrong', async () => {
  const good = new Tiny(['--check']);
  assert.deepEqual([await good.ended, good.out], [0, 'looked\nwork\n']);
  const bad = new Tiny(['--check', '--act', 'finish']);
  assert.deepEqual([await bad.ended, bad.out], [1, 'looked\nfinish\n']);
});

test('the admin server: health, readiness with reasons, figures, metrics', async () => {
  const tiny = new Tiny([]);
  await tiny.line('started');
  assert.deepEqual([(await tiny.get('/health/live')).status, (await tiny.get('/health')).status], [200, 200]);
  const waiting = await tiny.get('/health/ready');
  assert.deepEqual([waiting.status, waiting.json()], [503, { status: 'not ready', reasons: ['waiting for the peer'] }]);
  tiny.child.kill('SIGUSR2');
  await tiny.told('act: ready');
  const ready = await tiny.get('/health/ready');
  assert.deepEqual([ready.status, ready.json()], [200, { status: 'ok' }]);
  const health = (await tiny.get('/health')).json() as Record<string, unknown>;
  assert.deepEqual(
    [health['status'], health['program'], health['checks']],
    ['ok', 'tiny', { live: { status: 'ok' }, ready: { status: 'ok' } }],
  );
  assert.equal(((await tiny.get('/stats')).json() as { frames: number }).frames, 3);
  const metrics = await tiny.get('/metrics');
  assert.match(metrics.type!, /^text\/plain; version=0\.0\.4/);
  assert.match(metrics.text, /^tiny_frames_total 3$/m);
  assert.match(metrics.text, /^process_cpu_seconds_total /m);
  assert.equal((await tiny.get('/none')).status, 404);
});

test('--probe asks the program that runs, and tells by its exit code', async () => {
  const tiny = new Tiny(['--admin-listen', '0.0.0.0:0']);
  const { address } = await tiny.line('admin server listens');
  await tiny.line('started');
  const ask = async (health: string) => {
    // What is wrong with other settings, or meant for another program, is no matter of the probe.
    const env = { ADMIN_LISTEN: String(address), ACT: 'nothing that there is' };
    const asking = new Tiny(['--probe', health], env);
    return [await asking.ended, asking.out, asking.err];
  };
  assert.deepEqual(await ask('live'), [0, '{"status":"ok"}\n', '']);
  assert.deepEqual(await ask('ready'), [1, '{"status":"not ready","reasons":["waiting for the peer"]}\n', '']);
  tiny.child.kill('SIGUSR2');
  await tiny.told('act: ready');
  assert.deepEqual(await ask('ready'), [0, '{"status":"ok"}\n', '']);
  tiny.child.kill('SIGTERM');
  await tiny.ended;
  const [code, out, err] = await ask('live');
  assert.deepEqual([code, out], [1, '']);
  assert.match(String(err), /^tiny: no answer from 127\.0\.0\.1:\d+: .*ECONNREFUSED.*\n {2}is the program running/);
  const off = new Tiny(['--probe', 'live', '--admin-listen', 'off']);
  assert.equal(await off.ended, 1);
  assert.match(off.err, /there is no admin server to ask/);
  const wrong = new Tiny(['--probe', 'well']);
  assert.equal(await wrong.ended, 2);
});

test('a taken admin port is named, and off serves none', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await until('a listening server', () => holder.listening, { withinMs: 5_000 });
  const { port } = holder.address() as AddressInfo;
  const tiny = new Tiny(['--admin-listen', `127.0.0.1:${port}`]);
  assert.equal(await tiny.ended, 1);
  holder.close();
  assert.match(
    tiny.err,
    new RegExp(`tiny: cannot listen on 127\\.0\\.0\\.1:${port} \\(--admin-listen\\): another program listens there`),
  );
  const off = new Tiny(['--act', 'finish', '--admin-listen', 'off']);
  assert.equal(await off.ended, 0);
  assert.ok(!off.out.includes('admin server'));
});

test('a program with nothing open but its promises goes on until it is told to stop', async () => {
  const tiny = new Tiny(['--admin-listen', 'off']);
  await tiny.line('started');
  tiny.child.kill('SIGTERM');
  assert.equal(await tiny.ended, 0);
  assert.doesNotMatch(tiny.err, /Warning/);
});

test('logs for people on demand, in colour on demand', async () => {
  const plain = new Tiny(['--act', 'finish', '--log-format', 'pretty'], { NO_COLOR: '1' });
  await plain.ended;
  assert.match(plain.out, /INFO.*started\n/);
  assert.ok(!plain.out.includes('\x1b['));
  const colour = new Tiny(['--act', 'finish', '--log-format', 'pretty'], { FORCE_COLOR: '1' });
  await colour.ended;
  assert.ok(colour.out.includes('\x1b['));
  const silent = new Tiny(['--act', 'finish', '--log-level', 'silent']);
  await silent.ended;
  assert.equal(silent.out, '');
});
