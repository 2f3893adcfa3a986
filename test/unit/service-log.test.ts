import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayError } from '../../src/core/errors.ts';
import { safeUrl } from '../../src/core/safe-url.ts';
import { failureText, logFailure } from '../../src/service/failure.ts';
import { createLog, type Log } from '../../src/service/log.ts';

async function capture(use: (log: Log) => void, secrets: string[] = [], level = 'info'): Promise<Record<string, unknown>[]> {
  const lines: string[] = [];
  use(
    await createLog({
      program: 'es-watcher',
      level,
      format: 'json',
      secrets,
      stream: { write: (line) => void lines.push(line) },
    }),
  );
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('a line is JSON with a level in words, ISO time, program, message and its own fields', async () => {
  const [line, ...more] = await capture((log) => {
    log.debug('not shown');
    log.info({ index: 'products', shard: 3 }, 'followed');
  });
  assert.equal(more.length, 0);
  assert.match(String(line!['time']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(
    { ...line, time: '' },
    { level: 'info', time: '', program: 'es-watcher', index: 'products', shard: 3, msg: 'followed' },
  );
});

test('no secret gets into a line: by key, by value, or within a URL', async () => {
  const lines = await capture(
    (log) => {
      log.info({ headers: { authorization: 'Basic abc' }, password: 'x1', request: { apiKey: 'x2' } }, 'keys');
      log.info({ where: 'http://user:x3@host' }, 'cannot reach https://user:x4@host:9200/a');
      log.error({ err: new Error('refused: top "secret"') }, 'values: top "secret"');
    },
    ['top "secret"', 'a'],
  );
  const text = JSON.stringify(lines);
  for (const secret of ['abc', 'x1', 'x2', 'x3', 'x4', 'top \\"secret', 'top \\\\\\"secret'])
    assert.ok(!text.includes(secret), secret);
  assert.match(text, /https:\/\/\*\*\*@host:9200\/a/);
});

test('URLs lose their credentials, other text stays', () => {
  assert.equal(
    safeUrl('nats://token@a:4222, tls://u:p@ss@b and http://c/x@y'),
    'nats://***@a:4222, tls://***@b and http://c/x@y',
  );
  assert.equal(safeUrl('mail to a@b, see http://host'), 'mail to a@b, see http://host');
});

test('a known failure is logged without a stack, with code and hint; an unknown one with a stack', async () => {
  const known = new GatewayError('ES_UNREACHABLE', 'cannot reach http://h', { hint: 'check --es-hosts' });
  const [first, second] = await capture((log) => {
    logFailure(log, known);
    logFailure(log, new Error('boom'));
  });
  assert.deepEqual(
    [first!['level'], first!['code'], first!['hint'], first!['msg'], first!['err']],
    ['fatal', 'ES_UNREACHABLE', 'check --es-hosts', 'cannot reach http://h', undefined],
  );
  assert.match((second!['err'] as { stack: string }).stack, /Error: boom\n +at /);
});

test('the text for a terminal: message and next step, secrets hidden', () => {
  const error = new GatewayError('X', 'cannot log in at http://u:p@h as hunter2\nand not at all', {
    hint: 'check --es-password',
  });
  assert.equal(
    failureText('es-watcher', error, ['hunter2']),
    'es-watcher: cannot log in at http://***@h as ***\nes-watcher: and not at all\n  check --es-password\n',
  );
});
