import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { UsageError } from '../../src/core/errors.ts';
import { syncSettings } from '../../src/es-sync/config.ts';
import { halvesOf } from '../../src/es-sync/halves.ts';
import { programs } from '../../src/es-sync/programs.ts';
import { readInvocation } from '../../src/service/config.ts';
import { Metrics } from '../../src/service/metrics.ts';

const main = join(import.meta.dirname, '../../src/es-sync/main.ts');
const directory = mkdtempSync(join(tmpdir(), 'es-sync-'));
after(() => rmSync(directory, { recursive: true }));

const meeting = { natsUrl: 'nats://127.0.0.1:4222', natsToken: 'meeting' };
const both = ['--source=http://a:1', '--target=http://b:2'];

async function settingsOf(argv: string[], environment: Record<string, string> = {}) {
  const invocation = await readInvocation(syncSettings, argv, environment, '1');
  assert.ok(invocation.is === 'run');
  return invocation.values;
}

const refused = (message: RegExp) => (error: unknown) => error instanceof UsageError && message.test(error.message);

test('every program runs by its name as a command and as a link', () => {
  for (const program of Object.keys(programs)) {
    const link = join(directory, program);
    symlinkSync(main, link);
    const asCommand = execFileSync(process.execPath, [main, program, '--version'], { encoding: 'utf8' });
    const asLink = execFileSync(process.execPath, [link, '--version'], { encoding: 'utf8' });
    assert.match(asCommand, new RegExp(`^${program} \\d`));
    assert.equal(asLink, asCommand);
  }
});

test('es-sync alone lists its commands, and an unknown one is wrong usage', () => {
  const listed = execFileSync(process.execPath, [main], { encoding: 'utf8' });
  for (const command of ['run', ...Object.keys(programs)]) assert.match(listed, new RegExp(`^  ${command} +\\w`, 'm'));
  const unknown = spawnSync(process.execPath, [main, 'es-wacher'], { encoding: 'utf8' });
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /did you mean es-watcher\?/);
});

test('both clusters must be given, and logins be whole, by the names of their side', async () => {
  await assert.rejects(settingsOf(['--source=http://a:1']), refused(/--source URL and --target URL/));
  await assert.rejects(
    settingsOf([...both, '--target-username=u']),
    refused(/--target-username and --target-password belong together/),
  );
});

test('each half gets its cluster, and meets the other', async () => {
  const values = await settingsOf(
    [...both, '--source-username=u', '--source-password=p w', '--target-insecure-tls', '--rename=a=b', '--data-dir=/d'],
    { TARGET_API_KEY: 'key' },
  );
  const { watcher, writer } = await halvesOf(values, meeting);
  assert.deepEqual([watcher.esHosts, watcher.esUsername, watcher.esPassword], [['http://a:1'], 'u', 'p w']);
  assert.deepEqual([writer.esHosts, writer.esApiKey, writer.esInsecureTls], [['http://b:2'], 'key', true]);
  assert.deepEqual(writer.rename, [{ from: 'a', to: 'b' }]);
  assert.equal(watcher.checkpointPath, '/d/checkpoint');
  for (const half of [watcher, writer]) assert.deepEqual([half.natsUrl, half.natsToken], [[meeting.natsUrl], 'meeting']);
  assert.ok(writer.drainTimeout < values.drainTimeout);
});

test('finer settings of a half come from its section of the file, and es-sync’s own win', async () => {
  const file = join(directory, 'es-sync.yaml');
  writeFileSync(
    file,
    'es-sync:\n  index-patterns: mine-*\nes-watcher:\n  poll-interval: 3s\n  index-patterns: theirs\nes-writer:\n  bulk-concurrency: 9\n',
  );
  const { watcher, writer } = await halvesOf(await settingsOf([...both, `--config=${file}`]), meeting);
  assert.deepEqual([watcher.pollInterval, watcher.indexPatterns, writer.bulkConcurrency], [3_000, ['mine-*'], 9]);
});

test('the metrics of a part are scraped with the whole, under their own names', async () => {
  const whole = new Metrics('es-sync');
  const part = whole.of('es-watcher');
  const counter = part.counter('polls_total', 'Polls.', ['index']);
  part.beforeScrape(() => counter.with({ index: 'a' }).inc());
  assert.match((await whole.scrape()).body, /^es_watcher_polls_total\{index="a"\} 1$/m);
  part.drop({ index: 'a' });
  part.beforeScrape(() => undefined);
  assert.doesNotMatch((await whole.scrape()).body, /es_watcher_polls_total\{index="a"\} 2/);
});
