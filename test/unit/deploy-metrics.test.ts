import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Type and labels of every metric of docs/metrics.md, which is made from the sources. */
const metrics = new Map(
  [...read('docs/metrics.md').matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*) \|/gm)].map(([, name, type, labels]) => [
    name!,
    { type: type!, labels: [...labels!.matchAll(/`(\w+)`/g)].map((match) => match[1]!) },
  ]),
);

type Panel = { title: string; id: number; type: string; targets?: { expr: string }[] };
const dashboard = JSON.parse(read('deploy/grafana/dashboard.json')) as {
  panels: Panel[];
  templating: { list: { query: unknown }[] };
};
type Rule = { alert: string; expr: string };
const alerts = (parse(read('deploy/grafana/alerts.yaml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  ({ rules }) => rules,
);

const expressions = [
  ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: title, expr }))),
  ...alerts.map(({ alert, expr }) => ({ where: alert, expr })),
  ...dashboard.templating.list.map(({ query }) => ({ where: 'a variable', expr: JSON.stringify(query) })),
];

/** Names of ours in an expression, with what a histogram adds to its name. */
function named(expr: string): { name: string; base: string }[] {
  return [...expr.matchAll(/\b(?:es_watcher|es_writer|nats_gateway|nats3)_\w+/g)].map(([name]) => ({
    name,
    base: name.replace(/_(bucket|sum|count)$/, ''),
  }));
}

test('panels and alerts name only metrics that there are, each in the way that its type asks for', () => {
  const wrong = expressions.flatMap(({ where, expr }) =>
    named(expr).flatMap(({ name, base }) => {
      const type = metrics.get(name)?.type ?? (metrics.get(base)?.type === 'histogram' ? 'histogram' : undefined);
      if (type === undefined) return `${where}: there is no metric ${name}`;
      const rated = new RegExp(`(?:rate|increase|deriv)\\(${name}\\b`).test(expr);
      if (type === 'counter' && !rated) return `${where}: the counter ${name} needs rate() or increase()`;
      if (type === 'gauge' && new RegExp(`(?:rate|increase)\\(${name}\\b`).test(expr)) return `${where}: ${name} is a gauge`;
      return [];
    }),
  );
  assert.deepEqual(wrong, []);
});

test('they group by labels that one of their metrics has', () => {
  const wrong = expressions.flatMap(({ where, expr }) => {
    const known = new Set([
      'job',
      'instance',
      'le',
      ...named(expr).flatMap(({ name, base }) => (metrics.get(name) ?? metrics.get(base))?.labels ?? []),
    ]);
    return [...expr.matchAll(/\bby \(([^)]*)\)/g)]
      .flatMap((match) => match[1]!.split(',').map((label) => label.trim()))
      .filter((label) => !known.has(label))
      .map((label) => `${where}: ${label}`);
  });
  assert.deepEqual(wrong, []);
});

test('the dashboard has panels of every program, each with an id of its own', () => {
  const ids = dashboard.panels.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  const used = new Set(expressions.flatMap(({ expr }) => named(expr).map(({ name }) => name.split('_').slice(0, 2).join('_'))));
  assert.deepEqual([...used].sort(), ['es_watcher', 'es_writer', 'nats_gateway']);
});

test('every alert is tested and explained', () => {
  const tests = read('deploy/grafana/alerts.test.yaml');
  const guide = read('docs/deploy/monitoring.md');
  for (const { alert } of alerts) {
    assert.match(tests, new RegExp(`alertname="${alert}"`), alert);
    assert.match(guide, new RegExp(`\`${alert}\``), alert);
  }
});
