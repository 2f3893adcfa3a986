import type { Benchmark, Context, Goal, Measure, Result } from './benchmark.ts';
import { dump, ours, reindex, type Contender, type Copy } from './contenders.ts';
import { elasticdump } from './elasticdump.ts';
import { median, show } from './figures.ts';
import { bars } from './plot.ts';
import { loadPlaces, versionsOf } from './stack.ts';

const contenders: readonly Contender[] = [ours, reindex, dump];
const index = 'places';
const memoryMaxMb = 200;

export const benchmark: Benchmark = {
  name: 'backfill',
  title: 'Backfill beside the peers',
  about:
    'An index of GeoNames places (two shards, 170 bytes a document) is copied from Elasticsearch 8.19 to OpenSearch 2.19 on the same machine, ' +
    'by each contender in turn, in the same run, on warm engines. Our time includes the start of both programs, which run from the bundle that is shipped; elasticdump’s its own; ' +
    'CPU is user and system time. `_reindex` runs inside the target and costs no process of its own.',
  async run({ quick, say, engines: start }: Context): Promise<Result> {
    const documents = quick ? 100_000 : 400_000;
    const rounds = quick ? 2 : 4;
    await elasticdump();
    const engines = await start();
    await loadPlaces(engines, index, documents);
    const copies = new Map<Contender, Copy[]>(contenders.map((contender) => [contender, []]));
    for (let round = 0; round <= rounds; round++) {
      // round 0 warms the engines; then in turn from either end, so that no place in the order is an advantage
      for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
        const copy = await contender.copy(engines, { from: index, to: `copy-${round}`, documents });
        say(
          `${round === 0 ? 'warming' : `round ${round}`}: ${contender.name} ${show((documents / copy.tookMs) * 1000)} documents/s`,
        );
        if (round > 0) copies.get(contender)!.push(copy);
      }
    }
    return evaluate(copies, documents, { ...versionsOf(engines), elasticdump: (await elasticdump()).version });
  },
};

function evaluate(copies: ReadonlyMap<Contender, readonly Copy[]>, documents: number, versions: Record<string, string>): Result {
  const measures: Measure[] = [];
  const rates = new Map<Contender, number[]>();
  for (const [contender, all] of copies) {
    const rate = all.map(({ tookMs }) => (documents / tookMs) * 1000);
    rates.set(contender, rate);
    measures.push({ name: contender.name, unit: 'documents/s', values: rate });
  }
  for (const [contender, all] of copies) measures.push(...costs(contender, all, documents));
  const bar = (contender: Contender) => {
    const values = rates.get(contender)!;
    const spread = { low: Math.min(...values), high: Math.max(...values) };
    return { label: contender.name, value: median(values), ours: contender === ours, ...spread };
  };
  const svg = bars(`Backfill of ${documents.toLocaleString('en-US')} documents`, 'documents/s', contenders.map(bar), show);
  return { measures, goals: goalsOf(copies, rates), versions, plots: [{ name: 'backfill', svg }] };
}

function costs({ name }: Contender, copies: readonly Copy[], documents: number): Measure[] {
  const perDocument = (values: readonly number[]) => values.map((ms) => (ms * 1000) / documents);
  const own = Object.keys(copies[0]?.processes ?? {}).flatMap((process): Measure[] => {
    const all = copies.map(({ processes }) => processes[process]!);
    return [
      { name: `CPU of ${process}`, unit: 'µs/document', values: perDocument(all.map(({ cpuMs }) => cpuMs)) },
      { name: `peak memory of ${process}`, unit: 'MB', values: all.map(({ peakBytes }) => peakBytes / 1e6) },
    ];
  });
  return [
    ...own,
    {
      name: `CPU of the source, with ${name}`,
      unit: 'µs/document',
      values: perDocument(copies.map(({ engines }) => engines.sourceCpuMs)),
    },
    {
      name: `CPU of the target, with ${name}`,
      unit: 'µs/document',
      values: perDocument(copies.map(({ engines }) => engines.targetCpuMs)),
    },
  ];
}

/** What is aimed at, and what no change may fall below. */
function beside(peer: string, value: number, { goal, floor }: { goal: number; floor: number }): Goal[] {
  const name = `backfill beside ${peer}`;
  return [
    { name, value, unit: '×', bound: { atLeast: goal }, enforced: false },
    { name: `${name}, floor`, value, unit: '×', bound: { atLeast: floor }, enforced: true },
  ];
}

function goalsOf(copies: ReadonlyMap<Contender, readonly Copy[]>, rates: ReadonlyMap<Contender, readonly number[]>): Goal[] {
  const rate = (contender: Contender) => median(rates.get(contender)!);
  const peakMb = (process: string) => Math.max(...copies.get(ours)!.map(({ processes }) => processes[process]!.peakBytes / 1e6));
  const memory = (process: string): Goal => ({
    name: `peak memory of ${process}`,
    value: peakMb(process),
    unit: 'MB',
    bound: { atMost: memoryMaxMb },
    enforced: true,
  });
  return [
    ...beside('_reindex', rate(ours) / rate(reindex), { goal: 1, floor: 0.4 }),
    ...beside('elasticdump', rate(ours) / rate(dump), { goal: 3, floor: 0.5 }),
    memory('es-watcher'),
    memory('es-writer'),
  ];
}
