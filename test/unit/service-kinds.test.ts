import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as kinds from '../../src/service/kinds.ts';
import { renameRule } from '../../src/service/rename-rule.ts';
import { streamName } from '../../src/service/stream-name.ts';

function read<T>(kind: kinds.Kind<T>, given: kinds.Given): T | 'wrong' {
  const parsed = kind.parse(given);
  return 'value' in parsed ? parsed.value : 'wrong';
}

test('integers have bounds, and name them', () => {
  const kind = kinds.integer(1, 10);
  assert.deepEqual(
    ['1', ' 10 ', '0', '11', '1.0', '-1', '', 'x', '1e1'].map((text) => read(kind, text)),
    [1, 10, 'wrong', 'wrong', 'wrong', 'wrong', 'wrong', 'wrong', 'wrong'],
  );
  assert.deepEqual(kind.parse('11'), { wrong: 'a whole number from 1 to 10' });
});

test('booleans take the usual words', () => {
  assert.deepEqual(
    ['true', 'YES', '1', 'on', 'false', 'no', '0', 'Off', '', 'maybe'].map((text) => read(kinds.boolean(), text)),
    [true, true, true, true, false, false, false, false, 'wrong', 'wrong'],
  );
});

test('a scalar refuses lists and mappings', () => {
  for (const given of [['a', 'b'], { a: 'b' }, [] as string[]]) assert.equal(read(kinds.text(), given), 'wrong');
});

test('urls keep their text, gain a missing scheme, lose slashes at the end', () => {
  const kind = kinds.url('http', 'https');
  assert.equal(read(kind, 'https://user:p%2Cw@host:9200/prefix/'), 'https://user:p%2Cw@host:9200/prefix');
  assert.equal(read(kind, 'localhost:9200'), 'http://localhost:9200');
  assert.equal(read(kind, 'http://[::1]:9200'), 'http://[::1]:9200');
  for (const text of ['', 'ftp://host', 'http://', 'http://h:99999', 'http://h?x=1', 'http://h#x', 'http://a b'])
    assert.equal(read(kind, text), 'wrong', text);
});

test('listen addresses', () => {
  const kind = kinds.listen();
  assert.deepEqual(read(kind, '127.0.0.1:0'), { host: '127.0.0.1', port: 0 });
  assert.deepEqual(read(kind, ':8081'), { host: '0.0.0.0', port: 8081 });
  assert.deepEqual(read(kind, '[::1]:80'), { host: '::1', port: 80 });
  assert.equal(read(kind, 'off'), 'off');
  for (const text of ['8081', 'host', 'host:', 'host:65536', '::1:80', 'http://h:1', 'a b:1'])
    assert.equal(read(kind, text), 'wrong', text);
  for (const text of ['[::1]:80', '0.0.0.0:8081', 'off']) assert.equal(kind.show(read(kind, text) as kinds.ListenAddress), text);
});

test('lists: commas in text, items as they are in a YAML list, item by item checked', () => {
  const kind = kinds.listOf(kinds.text());
  assert.deepEqual(read(kind, ' a, b,,c '), ['a', 'b', 'c']);
  assert.deepEqual(read(kind, ['a,b', 'c']), ['a,b', 'c']);
  assert.deepEqual(read(kind, ''), []);
  assert.equal(read(kinds.listOf(kinds.text(), 1), ' , '), 'wrong');
  assert.deepEqual(kinds.listOf(kinds.integer(1, 9)).parse('1,x'), {
    wrong: 'a comma-separated list, each item a whole number from 1 to 9',
  });
});

test('rename rules: FROM=TO, or a mapping; $ numbers must have their *', () => {
  const kind = renameRule();
  assert.deepEqual(read(kind, 'logs-*=copy-$1'), { from: 'logs-*', to: 'copy-$1' });
  assert.deepEqual(read(kind, { from: 'a', to: 'b' }), { from: 'a', to: 'b' });
  for (const given of [
    'a',
    'a=',
    '=b',
    'a=b=c',
    'a=$1',
    'a-*=b-$2',
    'a*=b*',
    '*=$0',
    ['a=b'],
    { from: 'a' },
    { from: 'a', to: 'b', x: 'y' },
  ]) {
    assert.equal(read(kind, given), 'wrong', JSON.stringify(given));
  }
});

test('stream names are what the server takes', () => {
  for (const name of ['ES_CHANGES', 'a-b', 'ä']) assert.equal(read(streamName(), name), name);
  for (const name of ['', 'a.b', 'a*', 'a>', 'a b', 'a/b', 'a\\b']) assert.equal(read(streamName(), name), 'wrong', name);
});
