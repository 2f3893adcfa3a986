import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isAlive, temporaryDirectory } from '../../scripts/servers.ts';
import { until } from '../support/until.ts';

const script = fileURLToPath(new URL('../../scripts/demo.ts', import.meta.url));
let demo: ChildProcess | undefined;

after(() => demo?.kill('SIGKILL'));

function start(env: Record<string, string>): { child: ChildProcess; output: () => string } {
  let output = '';
  const child = spawn(process.execPath, [script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEMO_DOCUMENTS: '3000', NODE_NO_WARNINGS: '1', ...env },
  });
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  demo = child;
  return { child, output: () => output };
}

test('the demo follows, kills the writer, and finds both sides equal; without a terminal in plain lines', async () => {
  const { child, output } = start({ DEMO_SECONDS: '5' });
  const [code] = await once(child, 'close');
  assert.equal(code, 0, output());
  assert.match(output(), /✓ 3,000 documents in .*start included/);
  assert.match(output(), /es-writer \(pid \d+\) killed with SIGKILL/);
  assert.match(output(), /✓ [\d,]+ documents: 0 missing, 0 extra, 0 different \(compared in .*\)\n\nDone in \d+ s\.\n$/);
  assert.ok(!output().includes('\u001b'), 'no escape codes');
});

test('KEEP=1 leaves everything running, with its addresses and the line that ends it', async () => {
  const { child, output } = start({ DEMO_SECONDS: '2', DEMO_DOCUMENTS: '500', KEEP: '1' });
  const [code] = await once(child, 'close');
  const stop = /stop it: +(kill -- .*)$/m.exec(output())?.[1] ?? '';
  try {
    assert.equal(code, 0, output());
    for (const name of ['source', 'target', 'es-watcher', 'es-writer']) {
      const url = new RegExp(`^${name} +(http://\\S+)`, 'm').exec(output())?.[1] ?? '';
      assert.equal((await fetch(url)).status, 200, `${name} ${url}`);
    }
    assert.match(output(), /^NATS +nats:\/\/127\.0\.0\.1:\d+/m);
  } finally {
    // As a user pastes it.
    spawnSync('sh', ['-c', stop]);
  }
  const directory = /rm -rf (\S+)$/.exec(stop)?.[1] ?? '';
  assert.notEqual(directory, '');
  assert.ok(!existsSync(directory), 'its files are removed');
  await until('its processes to end', () => processesNaming(directory).length === 0, { withinMs: 20_000 });
});

test('interrupted, the demo leaves no process and no file', async () => {
  const directory = temporaryDirectory('demo-test');
  chmodSync(directory, 0o755);
  const { child, output } = start({ DEMO_SECONDS: '600', TMPDIR: directory });
  await until('the live part', () => output().includes('seconds of changes'), { withinMs: 180_000 });
  const processes = processesNaming(directory);
  // three servers, two programs and the demo itself
  assert.ok(processes.length >= 6, `${processes.length} processes`);
  child.kill('SIGINT');
  const [code] = await once(child, 'close');
  assert.equal(code, 130);
  await until('its processes to end', () => processes.every((pid) => !isAlive(pid)), { withinMs: 20_000 });
  await until('its files to be removed', () => readdirSync(directory).length === 0, { withinMs: 20_000 });
});

/** Processes that have the text in their command line or environment. */
function processesNaming(text: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => (read(`/proc/${pid}/cmdline`) + read(`/proc/${pid}/environ`)).includes(text)).map(Number);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // the process has ended meanwhile, or is not ours
    return '';
  }
}
