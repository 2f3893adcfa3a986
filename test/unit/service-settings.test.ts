import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { UsageError } from '../../src/core/errors.ts';
import { readInvocation } from '../../src/service/config.ts';
import * as kinds from '../../src/service/kinds.ts';
import { defineSettings, group, setting } from '../../src/service/settings.ts';

const schema = defineSettings(
  'es-watcher',
  'tries settings.',
  {
    ...group('First', {
      esHosts: setting(kinds.listOf(kinds.url('http', 'https'), 1), { help: 'Hosts.', default: 'http://localhost:9200' }),
      pollInterval: setting(kinds.duration('1ms', '1h'), { help: 'Interval.', default: '100ms' }),
      password: setting(kinds.secret(), { help: 'Password.' }),
      tenant: setting(kinds.text(), { help: 'Tenant.' }),
      quick: setting(kinds.boolean(), { help: 'Quick.', default: 'true' }),
    }),
    logLevel: setting(kinds.oneOf('info', 'warn'), { help: 'Level.', default: 'info', common: true }),
    config: setting(kinds.path('FILE'), { help: 'File.', elsewhere: 'environment' }),
    check: setting(kinds.boolean(), { help: 'Check.', default: 'false', elsewhere: 'nowhere' }),
  },
  [({ tenant, quick }) => (tenant === 'slow' && quick ? '--tenant slow and --quick exclude each other' : undefined)],
);

const directory = mkdtempSync(join(tmpdir(), 'service-settings-'));
after(() => rmSync(directory, { recursive: true }));

function file(text: string): string {
  const path = join(directory, 'settings.yaml');
  writeFileSync(path, text);
  return path;
}

const ask = (argv: string[] = [], env: Record<string, string> = {}) => readInvocation(schema, argv, env, '1.2.3');

async function values(argv: string[] = [], env: Record<string, string> = {}) {
  const invocation = await ask(argv, env);
  assert.ok(invocation.is === 'run');
  return invocation.values;
}

async function text(argv: string[], env: Record<string, string> = {}): Promise<string> {
  const invocation = await ask(argv, env);
  assert.ok(invocation.is === 'text');
  return invocation.text;
}

async function refusal(argv: string[] = [], env: Record<string, string> = {}): Promise<UsageError> {
  const error = await ask(argv, env).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof UsageError, `expected a refusal of ${argv.join(' ')}`);
  return error;
}

test('a flag wins over the environment, the environment over the file, a section over the top level, the file over the default', async () => {
  const config = file('log-level: warn\nes-watcher:\n  tenant: from-file\n  poll-interval: 1s\n');
  const env = { CONFIG: config, POLL_INTERVAL: '2s', TENANT: 'from-env' };
  const all = await values(['--tenant', 'from-flag'], env);
  assert.deepEqual(
    [all.tenant, all.pollInterval, all.logLevel, all.esHosts],
    ['from-flag', 2000, 'warn', ['http://localhost:9200']],
  );
  const over = file('log-level: warn\nes-watcher:\n  log-level: info\n');
  assert.equal((await values(['--config', over])).logLevel, 'info');
});

test('flags: both forms, switches, values with a dash, the last one counts, lists are joined', async () => {
  const all = await values([
    '--poll-interval=1s',
    '--poll-interval',
    '2s',
    '--no-quick',
    '--tenant',
    '-x',
    '--es-hosts',
    'http://a',
    '--es-hosts=b,c',
    '--check',
  ]);
  assert.deepEqual(all, {
    esHosts: ['http://a', 'http://b', 'http://c'],
    pollInterval: 2000,
    tenant: '-x',
    quick: false,
    logLevel: 'info',
    check: true,
  });
  assert.equal((await values(['--tenant=--x=y'])).tenant, '--x=y');
  assert.equal((await values(['--quick=no'])).quick, false);
});

test('an empty variable counts as unset', async () => {
  assert.equal((await values([], { POLL_INTERVAL: '', CONFIG: '' })).pollInterval, 100);
});

test('an unknown flag is named, with the nearest known one', async () => {
  const error = await refusal(['--pol-interval', '1s']);
  assert.deepEqual([error.code, error.message], ['UNKNOWN_FLAG', 'unknown flag --pol-interval; did you mean --poll-interval?']);
  assert.match((await refusal(['--no-tenant'])).message, /unknown flag --no-tenant/);
  assert.equal((await refusal(['--zzzzzz=1'])).message, 'unknown flag --zzzzzz');
  assert.equal((await refusal(['tenant'])).code, 'UNEXPECTED_ARGUMENT');
});

test('a flag without its value is named', async () => {
  for (const argv of [['--tenant'], ['--tenant', '--check']]) {
    const error = await refusal(argv);
    assert.deepEqual([error.code, error.message], ['VALUE_MISSING', '--tenant needs a value']);
  }
});

test('a wrong value names the setting by flag, variable and key, the value, its source and what is accepted; all at once', async () => {
  const error = await refusal(['--poll-interval', 'soon'], { LOG_LEVEL: 'loud' });
  assert.equal(error.code, 'SETTING_WRONG');
  const [first, second] = error.message.split('\n');
  assert.equal(
    first,
    'poll-interval takes a duration such as 100 (milliseconds), 250ms, 30s or 1h30m, from 1ms to 1h; given was "soon" (set by --poll-interval, POLL_INTERVAL, poll-interval: in the file)',
  );
  assert.match(second!, /^log-level takes one of info, warn; given was "loud" from LOG_LEVEL/);
});

test('settings that are each right but do not go together', async () => {
  assert.equal((await refusal(['--tenant', 'slow'])).message, '--tenant slow and --quick exclude each other');
});

test('the file: text stays as written, lists are lists, a section may be empty', async () => {
  const all = await values([
    '--config',
    file('es-watcher:\n  tenant: 007\n  es-hosts: [http://a, "http://b"]\n  quick: no\nes-writer:\n  anything: 1\n'),
  ]);
  assert.deepEqual([all.tenant, all.esHosts, all.quick], ['007', ['http://a', 'http://b'], false]);
  for (const empty of ['', '# nothing\n', 'es-watcher:\n'])
    assert.equal((await values(['--config', file(empty)])).pollInterval, 100);
});

test('the file: unknown and misplaced keys are errors', async () => {
  const cases: [yaml: string, code: string, message: RegExp][] = [
    [
      'es-watcher:\n  pol-interval: 1s\n',
      'UNKNOWN_KEY',
      /unknown key pol-interval in section es-watcher; did you mean poll-interval\?/,
    ],
    ['log-levle: info\n', 'UNKNOWN_KEY', /unknown key log-levle in the top level; did you mean log-level\?/],
    ['es-watchr:\n  tenant: a\n', 'UNKNOWN_KEY', /did you mean es-watcher\?/],
    ['es-hosts: http://a\n', 'UNKNOWN_KEY', /es-hosts belongs into a section/],
    ['es-watcher:\n  check: true\n', 'UNKNOWN_KEY', /unknown key check/],
    ['es-watcher: [a]\n', 'CONFIG_FILE_INVALID', /es-watcher is not a mapping/],
    ['- a\n', 'CONFIG_FILE_INVALID', /not a mapping/],
    ['log-level: info\nlog-level: warn\n', 'CONFIG_FILE_INVALID', /:2:1 is not valid YAML: Map keys must be unique/],
    ['es-watcher:\n  tenant: [a, b]\n', 'SETTING_WRONG', /tenant takes text .* given was "a,b" from .*settings\.yaml/],
    ['es-watcher:\n  tenant:\n', 'SETTING_WRONG', /tenant takes text that is not empty/],
  ];
  for (const [yaml, code, message] of cases) {
    const error = await refusal(['--config', file(yaml)]);
    assert.equal(error.code, code, yaml);
    assert.match(error.message, message);
  }
  assert.equal((await refusal(['--config', join(directory, 'none.yaml')])).code, 'CONFIG_FILE_UNREADABLE');
});

test('secrets: from a file, and never shown', async () => {
  const secretFile = join(directory, 'password');
  writeFileSync(secretFile, 'hunter2\n');
  assert.equal((await values([], { PASSWORD_FILE: secretFile })).password, 'hunter2');
  assert.equal((await values([], { PASSWORD: ' spaces ' })).password, ' spaces ');
  assert.match((await refusal([], { PASSWORD_FILE: '/none' })).message, /file that PASSWORD_FILE names/);
  assert.match(
    (await refusal([], { PASSWORD: 'a', PASSWORD_FILE: secretFile })).message,
    /PASSWORD and PASSWORD_FILE are both set/,
  );
  const invocation = await ask(['--password', 'hunter2']);
  assert.deepEqual(invocation.is === 'run' && invocation.secrets, ['hunter2']);

  const printed = await text(['--print-config', '--password', 'hunter2', '--es-hosts', 'http://user:hunter2@host']);
  assert.doesNotMatch(printed, /hunter2/);
  assert.match(printed, /password: "\*\*\*" +# --password\n/);
  assert.match(printed, /es-hosts: \["?http:\/\/\*\*\*@host"?\]/);
  for (const yaml of [
    'es-watcher:\n  password: {a: hunter2}\n',
    'es-watcher:\n  password: hunter2: x\n',
    'es-watcher:\n  password: "hunter2\n',
  ]) {
    const error = await refusal(['--config', file(yaml)]);
    assert.doesNotMatch(`${error.message} ${error.hint}`, /hunter2/, yaml);
  }
  assert.doesNotMatch((await refusal(['--es-hosts', 'ftp://user:hunter2@host'])).message, /hunter2/);
  assert.doesNotMatch((await refusal(['--es-hosts', 'http://user:hunter2/x@host'])).message, /hunter2/);
  assert.doesNotMatch((await refusal(['--pasword=hunter2'])).message, /hunter2/);
});

test('--print-config says where each value came from, and reads back as the same settings', async () => {
  const argv = ['--tenant', 'a: "b", #c', '--es-hosts', 'http://a,http://b'];
  const printed = await text([...argv, '--print-config'], { POLL_INTERVAL: '90000', CONFIG: file('log-level: warn\n') });
  assert.match(printed, /poll-interval: 90s +# POLL_INTERVAL\n/);
  assert.match(printed, /log-level: warn +# .*settings\.yaml\n/);
  assert.match(printed, /quick: true +# default\n/);
  assert.match(printed, /# password: +# not set\n/);
  const { config: _, ...again } = await values(['--config', file(printed)]);
  assert.deepEqual(again, { ...(await values([...argv, '--poll-interval', '90s', '--log-level', 'warn'])) });
});

test('--help is grouped, names variables and defaults, and fits 100 columns; --version', async () => {
  const help = await text(['--help']);
  assert.ok(help.split('\n').every((line) => line.length <= 100));
  assert.match(help, /^es-watcher 1\.2\.3: tries settings\.\n\nUsage: es-watcher \[flags\]\n\nFirst\n/);
  assert.match(help, /--poll-interval DURATION +Interval\. \[POLL_INTERVAL, default 100ms\]/);
  assert.match(help, /--password SECRET +Password\. \[PASSWORD or PASSWORD_FILE\]/);
  assert.match(help, /--check +Check\.\n/);
  assert.equal(await text(['--version']), 'es-watcher 1.2.3\n');
  assert.equal(await text(['--version', '-h']), help);
});
