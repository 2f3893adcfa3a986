import { createServer } from 'node:http';
import { globSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join, relative, resolve } from 'node:path';
import { run } from 'node:test';
import { describeError } from '../src/core/errors.ts';
import { provision } from './provision.ts';
import { ServerPool } from './servers.ts';
import { report, type Counts } from './test-report.ts';

/**
 * Runs the test suite: `test.ts [FOLDER or FILE ...]`, everything without arguments. Unit tests run side by side; the others one file
 * at a time, since they share real servers, which this process owns. The last line is `N passed, N failed`.
 */
const FOLDERS = ['unit', 'contract', 'integration', 'e2e', 'faults'];
const ROOT = resolve(import.meta.dirname, '..');
const UNIT_TIMEOUT_MS = 2 * 60_000;
const SERVER_TIMEOUT_MS = 20 * 60_000;

function filesOf(folder: string): string[] {
  return globSync(`test/${folder}/**/*.test.ts`, { cwd: ROOT })
    .sort()
    .map((file) => join(ROOT, file));
}

/** Files in the order of their folders, from what was asked for: folder names, files, or nothing for all. */
function wanted(asked: string[]): string[] {
  if (asked.length === 0) return FOLDERS.flatMap(filesOf);
  return asked.flatMap((one) => {
    if (FOLDERS.includes(one)) return filesOf(one);
    const files = globSync(one, { cwd: process.cwd() }).map((file) => resolve(file));
    if (files.length === 0) throw new Error(`${one} is neither a test folder (${FOLDERS.join(', ')}) nor a file`);
    return files;
  });
}

function isUnit(file: string): boolean {
  return relative(ROOT, file).startsWith('test/unit/');
}

/** Answers `GET /KEY` of a test process with the server of that key; test/support/servers.ts is the other end. */
async function lend(pool: ServerPool): Promise<() => void> {
  const broker = createServer((request, response) => {
    const key = (request.url ?? '').slice(1);
    const answer = key === 'make-room' ? pool.makeRoom().then(() => ({})) : pool.get(key);
    answer.then(
      (server) => response.end(JSON.stringify(server)),
      (error: unknown) => response.writeHead(500).end(describeError(error)),
    );
  });
  const { promise, resolve: listening } = Promise.withResolvers<void>();
  broker.listen(0, '127.0.0.1', listening);
  await promise;
  process.env['ES_SYNC_TEST_SERVERS'] = `http://127.0.0.1:${(broker.address() as AddressInfo).port}`;
  return () => void broker.close();
}

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    // ends the test processes; the servers end with this one
    interrupted.abort();
    setTimeout(() => process.exit(130), 500);
  });
}

async function runFiles(files: string[], concurrency: number, timeout: number): Promise<Counts> {
  const execArgv = ['--disable-warning=ExperimentalWarning'];
  return report(run({ files, concurrency, timeout, execArgv, cwd: ROOT, signal: interrupted.signal }), ROOT);
}

async function main(): Promise<boolean> {
  const files = wanted(process.argv.slice(2));
  const unit = files.filter(isUnit);
  const above = files.filter((file) => !isUnit(file));
  if (above.length > 0) await provision();
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  const add = (counts: Counts) => {
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
  };
  if (unit.length > 0) add(await runFiles(unit, 2, UNIT_TIMEOUT_MS));
  const skippedUnit = total.skipped;
  if (above.length > 0) {
    const pool = new ServerPool();
    const close = await lend(pool);
    for (const file of above) {
      add(await runFiles([file], 1, SERVER_TIMEOUT_MS));
      await pool.endFile();
    }
    close();
    await pool.close();
  }
  const skippedAbove = total.skipped - skippedUnit;
  if (skippedAbove > 0) process.stdout.write(`${skippedAbove} tests above unit level were skipped, which counts as a failure\n`);
  process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
  return total.failed === 0 && total.passed > 0 && skippedAbove === 0;
}

try {
  if (!(await main())) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.stdout.write('0 passed, 1 failed\n');
  process.exitCode = 1;
}
