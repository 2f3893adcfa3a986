/** Small SVG drawings for docs/benchmarks.md; readable on light and dark pages. */
export type Bar = { label: string; value: number; low?: number; high?: number; ours?: boolean };

const width = 720;
const labelWidth = 190;
const valueWidth = 110;
const rowHeight = 30;
const ink = '#6e7781';
const colours = { ours: '#2da44e', other: '#8c959f' };
const lines = ['#2da44e', '#0969da', '#bf8700', '#cf222e', '#8250df'];

/** Horizontal bars with their spread as whiskers. */
export function bars(title: string, unit: string, rows: readonly Bar[], format: (value: number) => string): string {
  const top = Math.max(...rows.map(({ value, high }) => Math.max(value, high ?? 0)));
  const x = (value: number): number => labelWidth + (value / top) * (width - labelWidth - valueWidth);
  const drawn = rows.map(({ label, value, low = value, high = value, ours = false }, row) => {
    const y = 44 + row * rowHeight;
    const middle = y + rowHeight / 2 - 3;
    return [
      text(labelWidth - 8, middle + 4, label, 'end'),
      `<rect x="${labelWidth}" y="${y}" width="${round(x(value) - labelWidth)}" height="${rowHeight - 8}" rx="3" fill="${ours ? colours.ours : colours.other}"/>`,
      `<path d="M${round(x(low))} ${middle}H${round(x(high))}" stroke="${ink}" stroke-width="2"/>`,
      text(round(x(Math.max(value, high)) + 6), middle + 4, format(value), 'start'),
    ].join('');
  });
  return page(44 + rows.length * rowHeight + 8, [heading(title, unit), ...drawn]);
}

export type Line = { label: string; points: readonly (readonly [x: number, y: number])[] };
export type Axis = { label: string; logarithmic?: boolean; ticks: readonly number[]; format: (value: number) => string };

/** Lines over two axes. */
export function chart(title: string, xAxis: Axis, yAxis: Axis, series: readonly Line[]): string {
  const box = { left: 70, right: width - 20, top: 50, bottom: 300 };
  const x = scale(
    xAxis,
    series.flatMap((one) => one.points.map(([at]) => at)),
    box.left,
    box.right,
  );
  const y = scale(
    yAxis,
    series.flatMap((one) => one.points.map(([, at]) => at)),
    box.bottom,
    box.top,
  );
  const grid = [
    ...yAxis.ticks.map(
      (tick) => rule(box.left, y(tick), box.right, y(tick)) + text(box.left - 8, y(tick) + 4, yAxis.format(tick), 'end'),
    ),
    ...xAxis.ticks.map(
      (tick) => rule(x(tick), box.top, x(tick), box.bottom) + text(x(tick), box.bottom + 18, xAxis.format(tick), 'middle'),
    ),
  ];
  const drawn = series.map(({ label, points }, at) => {
    const colour = lines[at % lines.length]!;
    const path = points.map(([px, py], n) => `${n === 0 ? 'M' : 'L'}${round(x(px))} ${round(y(py))}`).join('');
    const before = series.slice(0, at).reduce((sum, line) => sum + line.label.length * legendLetter + legendGap, 0);
    const legend = `<rect x="${box.left + before}" y="${box.bottom + 44}" width="12" height="12" rx="2" fill="${colour}"/>`;
    return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${legend}${text(box.left + before + 18, box.bottom + 54, label, 'start')}`;
  });
  const names = [text((box.left + box.right) / 2, box.bottom + 36, xAxis.label, 'middle')];
  return page(box.bottom + 68, [heading(title, yAxis.label), ...grid, ...drawn, ...names]);
}

/** Width of a letter at most, and of the mark and the space beside a label. */
const legendLetter = 6.5;
const legendGap = 40;

function scale(axis: Axis, values: readonly number[], from: number, to: number): (value: number) => number {
  const all = [...values, ...axis.ticks];
  const place = axis.logarithmic === true ? (value: number) => Math.log10(Math.max(value, 1e-9)) : (value: number) => value;
  const low = place(Math.min(...all));
  const high = place(Math.max(...all));
  return (value) => round(from + ((place(value) - low) / (high - low || 1)) * (to - from));
}

function heading(title: string, unit: string): string {
  return `<text x="0" y="20" font-size="15" font-weight="600" fill="${ink}">${escape(title)}<tspan font-weight="400" dx="8" font-size="12">${escape(unit)}</tspan></text>`;
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${x}" y="${y}" font-size="12" fill="${ink}" text-anchor="${anchor}">${escape(content)}</text>`;
}

function rule(x1: number, y1: number, x2: number, y2: number): string {
  return `<path d="M${x1} ${y1}L${x2} ${y2}" stroke="${ink}" stroke-opacity="0.25"/>`;
}

function page(height: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="ui-sans-serif, system-ui, sans-serif">\n${parts.join('\n')}\n</svg>\n`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
