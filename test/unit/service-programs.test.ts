import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { UsageError } from '../../src/core/errors.ts';
import { watcherSettings } from '../../src/es-watcher/config.ts';
import { writerSettings } from '../../src/es-writer/config.ts';
import { gatewaySettings } from '../../src/nats-gateway/config.ts';
import { readInvocation } from '../../src/service/config.ts';
import type { Schema, Settings } from '../../src/service/settings.ts';

const ROOT = join(import.meta.dirname, '../..');
const directory = mkdtempSync(join(tmpdir(), 'service-programs-'));
after(() => rmSync(directory, { recursive: true }));

async function valuesOf<S extends Settings>(schema: Schema<S>, argv: string[] = [], env: Record<string, string> = {}) {
  const invocation = await readInvocation(schema, argv, env, '1');
  assert.ok(invocation.is === 'run');
  return invocation.values;
}

const refused = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof UsageError && error.code === code && message.test(error.message);

test('es-watcher has the promised flags, variables and defaults', async () => {
  const defaults = await valuesOf(watcherSettings);
  assert.deepEqual(defaults.esHosts, ['http://localhost:9200']);
  assert.deepEqual(defaults.natsUrl, ['nats://localhost:4222']);
  assert.deepEqual(defaults.indexPatterns, ['*']);
  assert.equal(defaults.tenant, 'default');
  assert.equal(defaults.pollInterval, 100);
  assert.equal(defaults.checkpointPath, '/data/checkpoint');
  assert.equal(defaults.logLevel, 'info');
  assert.deepEqual(defaults.adminListen, { host: '127.0.0.1', port: 8081 });
  assert.equal(defaults.stream, 'ES_CHANGES');
  assert.equal(defaults.streamMaxBytes, undefined);
  const env = {
    ES_HOSTS: 'http://a:1,http://b:2',
    NATS_URL: 'nats://n:1',
    INDEX_PATTERNS: 'x*,-y',
    TENANT: 't',
    POLL_INTERVAL: '250',
    CHECKPOINT_PATH: ':memory:',
    LOG_LEVEL: 'debug',
    ADMIN_LISTEN: ':1',
  };
  const set = await valuesOf(watcherSettings, [], env);
  assert.deepEqual(
    [
      set.esHosts,
      set.natsUrl,
      set.indexPatterns,
      set.tenant,
      set.pollInterval,
      set.checkpointPath,
      set.logLevel,
      set.adminListen,
    ],
    [['http://a:1', 'http://b:2'], ['nats://n:1'], ['x*', '-y'], 't', 250, ':memory:', 'debug', { host: '0.0.0.0', port: 1 }],
  );
});

test('es-writer has the promised flags, variables and defaults', async () => {
  const defaults = await valuesOf(writerSettings);
  assert.deepEqual(
    [
      defaults.esHosts,
      defaults.natsUrl,
      defaults.stream,
      defaults.consumer,
      defaults.filterSubjects,
      defaults.batchSize,
      defaults.logLevel,
    ],
    [['http://localhost:9200'], ['nats://localhost:4222'], 'ES_CHANGES', 'es-writer', [], 1000, 'info'],
  );
  assert.deepEqual(defaults.adminListen, { host: '127.0.0.1', port: 8082 });
  const env = { STREAM: 'S', CONSUMER: 'c', FILTER_SUBJECTS: 'es.a.>,es.b.>', BATCH_SIZE: '10', RENAME: 'a-*=b-$1' };
  const set = await valuesOf(writerSettings, [], env);
  assert.deepEqual(
    [set.stream, set.consumer, set.filterSubjects, set.batchSize, set.rename],
    ['S', 'c', ['es.a.>', 'es.b.>'], 10, [{ from: 'a-*', to: 'b-$1' }]],
  );
});

test('settings that do not go together are refused', async () => {
  const cases: [argv: string[], message: RegExp][] = [
    [['--es-username', 'a'], /--es-username and --es-password belong together/],
    [['--es-api-key', 'a', '--es-aws-region', 'eu-west-1'], /give one of --es-username, --es-api-key and --es-aws-region/],
    [['--nats-password', 'a'], /--nats-user and --nats-password belong together/],
    [['--nats-cert-file', 'a'], /--nats-cert-file and --nats-key-file belong together/],
    [
      ['--nats-token', 'a', '--nats-creds-file', 'b'],
      /give one of --nats-creds-file, --nats-nkey-file, --nats-user and --nats-token/,
    ],
  ];
  for (const [argv, message] of cases) {
    await assert.rejects(readInvocation(watcherSettings, argv, {}, '1'), refused('SETTING_WRONG', message));
    await assert.rejects(readInvocation(writerSettings, argv, {}, '1'), refused('SETTING_WRONG', message));
  }
  await assert.rejects(
    readInvocation(watcherSettings, ['--index-patterns', '-a,-b'], {}, '1'),
    refused('SETTING_WRONG', /only excludes/),
  );
  await assert.rejects(
    readInvocation(watcherSettings, ['--index-patterns', 'logs-*,Orders'], {}, '1'),
    refused('SETTING_WRONG', /"Orders" is not an index pattern.*lower case/),
  );
  for (const subjects of ['foo bar', 'es.a..b', 'other.>', 'es.a', 'es.a.logs-*.index', 'es.>.x', 'es.a.b.index.c']) {
    await assert.rejects(
      readInvocation(writerSettings, ['--filter-subjects', subjects], {}, '1'),
      refused('SETTING_WRONG', /filter-subjects takes .*es\.TENANT\.INDEX\.OPERATION/),
    );
  }
  for (const subjects of ['>', 'es.>', 'es.a.>', 'es.*.b.>', 'es.a.b.*,es.a.c.index']) {
    await readInvocation(writerSettings, ['--filter-subjects', subjects], {}, '1');
  }
  await assert.rejects(
    readInvocation(writerSettings, ['--filter-subjects', 'es.a.>,es.a.b.*'], {}, '1'),
    refused('SETTING_WRONG', /es\.a\.b\.\* overlaps/),
  );
  await assert.rejects(
    readInvocation(writerSettings, ['--retry-min', '1m'], {}, '1'),
    refused('SETTING_WRONG', /--retry-min is above --retry-max/),
  );
  await assert.rejects(
    readInvocation(writerSettings, ['--dlq-stream', 'ES_CHANGES'], {}, '1'),
    refused('SETTING_WRONG', /another stream/),
  );
});

test('config/example.yaml is read by every program, as it is and with every default uncommented', async () => {
  const example = readFileSync(join(ROOT, 'config/example.yaml'), 'utf8');
  const placeholder = /^( *)#([a-z-]+: (?:[A-Z][A-Z:_]*|.*[,=]…)$)/gm;
  const path = join(directory, 'example.yaml');
  for (const text of [example, example.replace(placeholder, '$1# $2').replace(/^( *)#([a-z])/gm, '$1$2')]) {
    writeFileSync(path, text);
    for (const schema of [watcherSettings, writerSettings, gatewaySettings] as unknown as Schema[]) {
      assert.deepEqual(await valuesOf(schema, ['--config', path]), { ...(await valuesOf(schema)), config: path });
    }
  }
});

test('the reference pages and the example are up to date', () => {
  execFileSync(process.execPath, [join(ROOT, 'scripts/docs.ts'), '--check'], { stdio: 'pipe' });
});
