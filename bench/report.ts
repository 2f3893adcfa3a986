import { isMet, type Benchmark, type Goal, type Measure, type Result } from './benchmark.ts';
import { median, show } from './figures.ts';
import type { Machine } from './machine.ts';

/** A benchmark's last run, as it is kept between runs: measured on the machine and at the commit named beside it. */
export type Kept = { result: Result; machine: Machine; quick: boolean };

export type Entry = { benchmark: Benchmark; kept: Kept };

/** docs/benchmarks.md; `plotPath` gives the place of a plot, as a link of the page. */
export function page(entries: readonly Entry[], plotPath: (name: string) => string): string {
  return [
    '# Benchmarks',
    '',
    'Written by `make bench`, never by hand. Everything runs on one machine that the engines, NATS and the contenders share, and the ' +
      'machine is noisy: ratios of one run say more than figures. Values are the median, with the least and the highest of the repetitions.',
    '',
    '## Goals',
    '',
    'Where one is missed, [decisions/0003](decisions/0003-where-the-time-goes.md) (watcher and writer) and [0004](decisions/0004-where-the-time-of-nats3-goes.md) ' +
      '(nats3) say what the profiles show, and where the limit is.',
    '',
    ...table(
      ['', 'goal', 'bound', 'measured'],
      entries.flatMap(({ kept }) => kept.result.goals).map((goal) => [mark(goal), goal.name, boundText(goal), valueText(goal)]),
    ),
    ...entries.flatMap((entry) => section(entry, plotPath)),
    '',
  ].join('\n');
}

function section({ benchmark, kept: { result, machine, quick } }: Entry, plotPath: (name: string) => string): string[] {
  const versions = Object.entries(result.versions ?? {}).map(([name, version]) => `, ${name} ${version}`);
  return [
    '',
    `## ${benchmark.title}`,
    '',
    benchmark.about,
    '',
    ...(result.plots ?? []).flatMap(({ name }) => [`![${benchmark.title}](${plotPath(name)})`, '']),
    ...table(['', 'median', 'least', 'highest', ''], result.measures.map(measureRow)),
    ...(result.notes ?? []).flatMap((note) => ['', note]),
    '',
    `<sub>${machine.date}, commit ${machine.commit}: ${machine.processor} at load ${show(machine.load)}, ${machine.memory}, ${machine.system}, ` +
      `Node ${machine.node}${versions.join('')}. \`bench/${benchmark.name}.ts${quick ? ' --quick' : ''}\`</sub>`,
  ];
}

function measureRow({ name, unit, values }: Measure): string[] {
  const spread = values.length > 1 ? [show(Math.min(...values)), show(Math.max(...values))] : ['', ''];
  return [name, show(median(values)), ...spread, unit];
}

export function mark(goal: Goal): string {
  return isMet(goal) ? '✓' : '✗';
}

export function boundText({ bound, unit }: Goal): string {
  return 'atLeast' in bound
    ? `≥ ${bound.atLeast.toLocaleString('en-US')} ${unit}`
    : `≤ ${bound.atMost.toLocaleString('en-US')} ${unit}`;
}

export function valueText({ value, unit }: Goal): string {
  return `${show(value)} ${unit}`;
}

/** Columns but the first are right-aligned where they hold figures. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const isFigure = (column: number) => rows.every((row) => /^[\d,.–]*$/.test(row[column] ?? ''));
  return [head, head.map((_, column) => (isFigure(column) ? '---:' : '---')), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}
