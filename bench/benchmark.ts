import type { Engines } from './stack.ts';

/** One benchmark a file, which exports it as `benchmark`; bench/run.ts runs each in a process of its own. */
export type Benchmark = {
  /** The file's name without `.ts`. */
  name: string;
  title: string;
  /** What is measured and how, as a paragraph of docs/benchmarks.md. */
  about: string;
  run(context: Context): Promise<Result>;
};

export type Context = {
  /** Smaller, for CI: a few ten seconds. */
  quick: boolean;
  /** Shows what is going on. */
  say: (text: string) => void;
  /** Two warm engines, empty; all benchmarks of a run share them. */
  engines: () => Promise<Engines>;
};

/** What was measured once a repetition. */
export type Measure = { name: string; unit: string; values: readonly number[] };

/** A figure with its bound. */
export type Goal = {
  name: string;
  value: number;
  unit: string;
  bound: { atLeast: number } | { atMost: number };
  /** Whether missing it is a failure. Ratios and memory are; times depend on the machine and are only marked. */
  enforced: boolean;
};

/** A picture for docs/benchmarks.md. */
export type Plot = { name: string; svg: string };

export type Result = {
  measures: readonly Measure[];
  goals: readonly Goal[];
  /** Of other software that took part: name → version. */
  versions?: Readonly<Record<string, string>>;
  /** Sentences for the page: what explains a figure. */
  notes?: readonly string[];
  plots?: readonly Plot[];
};

export function isMet({ value, bound }: Goal): boolean {
  return 'atLeast' in bound ? value >= bound.atLeast : value <= bound.atMost;
}
