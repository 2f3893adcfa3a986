import type { Metric, Registry } from '@prometheus-io/client';
import { CounterSeries, GaugeSeries, HistogramSeries, Instrument } from './instruments.ts';

export type Counter<L extends string = never> = Instrument<CounterSeries, L>;
export type Gauge<L extends string = never> = Instrument<GaugeSeries, L>;
export type Histogram<L extends string = never> = Instrument<HistogramSeries, L>;

type AnyInstrument = Instrument<CounterSeries, string> | Instrument<GaugeSeries, string> | Instrument<HistogramSeries, string>;

/** Base units, as Prometheus has them: https://prometheus.io/docs/practices/naming/ */
type Unit =
  | 'seconds'
  | 'bytes'
  | 'ratio'
  | 'operations'
  | 'documents'
  | 'frames'
  | 'messages'
  | 'indices'
  | 'shards'
  | 'requests'
  | 'jobs';

/** From 1 ms to 30 s: a poll of an idle shard up to a bulk request on a struggling cluster. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** From 1 KB to 64 MB. */
const BYTES = [10, 12, 14, 16, 18, 20, 22, 24, 26].map((power) => 2 ** power);

/**
 * The metrics of one program. Series are plain numbers, so that a frame costs an addition; the Prometheus library writes them out,
 * and is loaded only when that is first needed (it takes 40 ms).
 */
export class Metrics {
  readonly #prefix: string;
  readonly #whole: Metrics | undefined;
  readonly #instruments: AnyInstrument[] = [];
  readonly #beforeScrape: (() => void)[] = [];
  #registry: Promise<Registry> | undefined;
  #loaded: Registry | undefined;

  /** `program` gives the prefix: es-watcher's metrics begin with `es_watcher_`. */
  constructor(program: string, whole?: Metrics) {
    this.#prefix = `${program.replaceAll('-', '_')}_`;
    this.#whole = whole;
  }

  /** The metrics of another program that runs within this one: its own names, in the same scrape. */
  of(program: string): Metrics {
    return new Metrics(program, this);
  }

  counter<L extends string = never>(name: `${string}_total`, help: string, labels: readonly L[] = []): Counter<L> {
    return this.#add(new Instrument('counter', this.#prefix + name, help, labels, () => new CounterSeries()));
  }

  gauge<L extends string = never>(name: `${string}_${Unit}`, help: string, labels: readonly L[] = []): Gauge<L> {
    return this.#add(new Instrument('gauge', this.#prefix + name, help, labels, () => new GaugeSeries()));
  }

  /** A gauge that is 0 or 1, and so has no unit. */
  flag(name: string, help: string): Gauge {
    return this.#add(new Instrument('gauge', this.#prefix + name, help, [], () => new GaugeSeries()));
  }

  histogram<L extends string = never>(
    name: `${string}_${'seconds' | 'bytes'}`,
    help: string,
    labels: readonly L[] = [],
  ): Histogram<L> {
    const bounds = name.endsWith('_bytes') ? BYTES : SECONDS;
    return this.#add(new Instrument('histogram', this.#prefix + name, help, labels, () => new HistogramSeries(bounds)));
  }

  /** Drops the series with these label values from every metric that has such labels. */
  drop(labels: Readonly<Record<string, string>>): void {
    for (const instrument of this.#instruments) instrument.drop(labels);
  }

  /** Called before each scrape, to set what is cheaper to ask for than to keep up to date. */
  beforeScrape(update: () => void): void {
    if (this.#whole !== undefined) this.#whole.beforeScrape(update);
    else this.#beforeScrape.push(update);
  }

  /** Name, type, help and labels of each metric, for the reference page. */
  describe(): readonly Pick<AnyInstrument, 'name' | 'type' | 'help' | 'labelNames'>[] {
    return this.#instruments;
  }

  /** Begins to measure the process itself: CPU, memory, event loop, garbage collection. */
  async start(): Promise<void> {
    await this.#load();
  }

  /** The metrics in the text format of Prometheus. */
  async scrape(): Promise<{ contentType: string; body: string }> {
    const registry = await this.#load();
    for (const update of this.#beforeScrape) update();
    return { contentType: registry.contentType, body: await registry.metrics() };
  }

  #load(): Promise<Registry> {
    this.#registry ??= import('@prometheus-io/client').then(({ Registry, collectDefaultMetrics }) => {
      const registry = new Registry();
      collectDefaultMetrics({ register: registry });
      for (const instrument of this.#instruments) registry.registerMetric(exposed(instrument));
      this.#loaded = registry;
      return registry;
    });
    return this.#registry;
  }

  #add<I extends AnyInstrument>(instrument: I): I {
    this.#instruments.push(instrument);
    if (this.#whole !== undefined) this.#whole.#add(instrument);
    // A program makes its metrics when it is connected, which may be after the first scrape.
    this.#loaded?.registerMetric(exposed(instrument));
    return instrument;
  }
}

/** A registry asks a metric for no more than its name, and `get()` for the rest. */
function exposed(instrument: AnyInstrument): Metric {
  const { name, help, type } = instrument;
  return { name, help, type, get: async () => ({ name, help, type, values: instrument.samples() }) } as unknown as Metric;
}
