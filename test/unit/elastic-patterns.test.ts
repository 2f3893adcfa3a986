import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIndexPatterns, type SelectableIndex } from '../../src/elastic/patterns.ts';

function index(name: string, facts: Partial<SelectableIndex> = {}): SelectableIndex {
  return { name, hidden: false, aliases: [], dataStream: undefined, ...facts };
}
const visible = (name: string) => ({ name, hidden: false });
const hidden = (name: string) => ({ name, hidden: true });

const logs = index('logs-2025');
const debug = index('logs-debug-2025', { aliases: [visible('all-logs')] });
const orders = index('orders_v2', { aliases: [visible('orders')] });
const system = index('.kibana_1', { hidden: true, aliases: [visible('.kibana')] });
const quiet = index('quiet', { hidden: true });
const backing = index('.ds-metrics-app-2025.11.21-000001', { hidden: true, dataStream: visible('metrics-app') });
const hiddenStream = index('.ds-history-000001', { hidden: true, dataStream: hidden('history') });
const all = [logs, debug, orders, system, quiet, backing, hiddenStream];

function selected(text: string): string[] {
  const patterns = parseIndexPatterns(text);
  return all.filter((one) => patterns.selects(one)).map((one) => one.name);
}

test('a pattern means an index, an alias or a data stream', () => {
  assert.deepEqual(selected('logs-*'), ['logs-2025', 'logs-debug-2025']);
  assert.deepEqual(selected('orders'), ['orders_v2']);
  assert.deepEqual(selected('metrics-*'), [backing.name]);
  assert.deepEqual(selected('metrics-app , logs-2025'), ['logs-2025', backing.name]);
  assert.deepEqual(selected('nothing'), []);
});

test('what is hidden must be named, or meant with a dot', () => {
  assert.deepEqual(selected('*'), ['logs-2025', 'logs-debug-2025', 'orders_v2', backing.name]);
  assert.deepEqual(selected('q*'), []);
  assert.deepEqual(selected('quiet'), ['quiet']);
  assert.deepEqual(selected('history'), [hiddenStream.name]);
  assert.deepEqual(selected('hist*'), []);
  assert.deepEqual(selected('.kib*'), ['.kibana_1']);
  assert.deepEqual(selected('.kibana'), ['.kibana_1']);
  assert.deepEqual(selected('.*'), [system.name, backing.name, hiddenStream.name]);
});

test('an exclusion wins, by any of the names', () => {
  assert.deepEqual(selected('*,-logs-debug*'), ['logs-2025', 'orders_v2', backing.name]);
  assert.deepEqual(selected('-all-logs,*,-metrics-app,-orders'), ['logs-2025']);
  assert.deepEqual(selected('-logs-*'), ['orders_v2', backing.name]);
  assert.deepEqual(selected('*,-.ds-*'), ['logs-2025', 'logs-debug-2025', 'orders_v2']);
});

test('what is no pattern is refused with an example', () => {
  for (const text of ['', ',', 'a,,b', '-', 'A', 'a b', 'a/b', 'a?', '<logs-{now/d}>', 'a|b', '"x"', 'a#b', 'a\\b']) {
    assert.throws(() => parseIndexPatterns(text), { code: 'INDEX_PATTERN_INVALID', hint: /--index-patterns/ }, text);
  }
  assert.equal(parseIndexPatterns('a+b=c%,größe').selects(index('größe')), true);
});
