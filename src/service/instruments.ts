export type InstrumentType = 'counter' | 'gauge' | 'histogram';

export type Labels<L extends string> = Readonly<Record<L, string>>;

/** One point as the exposition library takes it. */
export type Sample = { metricName?: string; labels: Record<string, string | number>; value: number };

/** Label values that come after this many series are counted together, as `other`: a metric must not grow without bound. */
export const SERIES_MAX = 20_000;

/** A named metric and its series, one for each combination of label values. */
export class Instrument<T extends { samples(name: string, labels: Record<string, string>): Sample[] }, L extends string> {
  readonly name: string;
  readonly help: string;
  readonly type: InstrumentType;
  readonly labelNames: readonly L[];
  readonly #create: () => T;
  readonly #series = new Map<string, { labels: Labels<L>; series: T }>();

  constructor(type: InstrumentType, name: string, help: string, labelNames: readonly L[], create: () => T) {
    this.type = type;
    this.name = name;
    this.help = help;
    this.labelNames = labelNames;
    this.#create = create;
    // A metric without labels shows from the start, at zero: `rate()` and alerts need a first point.
    if (labelNames.length === 0) this.with({} as Labels<L>);
  }

  /** The series of these label values, made at the first call. Hold on to it where it is used often. */
  with(labels: Labels<L>): T {
    const key = this.labelNames.map((name) => labels[name]).join('\0');
    const known = this.#series.get(key);
    if (known !== undefined) return known.series;
    const rest = Object.fromEntries(this.labelNames.map((name) => [name, 'other'])) as Labels<L>;
    if (this.#series.size >= SERIES_MAX && labels[this.labelNames[0]!] !== 'other') return this.with(rest);
    const series = this.#create();
    this.#series.set(key, { labels, series });
    return series;
  }

  /** Drops the series that carry these label values: of an index that is gone, a shard that is followed no more. */
  drop(labels: Readonly<Record<string, string>>): void {
    const wanted = Object.entries(labels);
    if (!wanted.every(([name]) => (this.labelNames as readonly string[]).includes(name))) return;
    for (const [key, series] of this.#series) {
      if (wanted.every(([name, value]) => series.labels[name as L] === value)) this.#series.delete(key);
    }
  }

  samples(): Sample[] {
    return [...this.#series.values()].flatMap(({ labels, series }) => series.samples(this.name, labels));
  }
}

export class CounterSeries {
  #value = 0;

  inc(by = 1): void {
    this.#value += by;
  }

  get value(): number {
    return this.#value;
  }

  samples(_name: string, labels: Record<string, string>): Sample[] {
    return [{ labels, value: this.#value }];
  }
}

export class GaugeSeries {
  value = 0;

  set(value: number): void {
    this.value = value;
  }

  samples(_name: string, labels: Record<string, string>): Sample[] {
    return [{ labels, value: this.value }];
  }
}

export class HistogramSeries {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  /** `bounds` are upper bounds, rising. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    const at = this.#bounds.findIndex((bound) => value <= bound);
    this.#counts[at === -1 ? this.#bounds.length : at]! += 1;
    this.#sum += value;
  }

  samples(name: string, labels: Record<string, string>): Sample[] {
    let count = 0;
    const buckets = this.#counts.map((each, i): Sample => {
      count += each;
      return { metricName: `${name}_bucket`, labels: { ...labels, le: this.#bounds[i] ?? '+Inf' }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}
