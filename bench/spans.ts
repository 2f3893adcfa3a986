import { places } from '../scripts/demo/places.ts';
import { scanSearchAnswer } from '../src/elastic/spans.ts';
import type { Benchmark, Context, Goal, Measure, Result } from './benchmark.ts';
import { median, show } from './figures.ts';

/** Documents of a page, as a watcher reads them. */
const pageDocuments = 5_000;
const floorMbPerSecond = 400;
/** A line of text, and a paragraph; 0 is the place alone. */
const documentSizes = [0, 330, 1_000];

export const benchmark: Benchmark = {
  name: 'spans',
  title: 'Span scanner',
  about:
    'How fast documents are taken out of a search answer of 5,000: sliced by the span scanner, beside `JSON.parse` of the answer and ' +
    '`JSON.stringify` of every document (which would also change numbers beyond 2^53). Real places, alone and with text.',
  run({ quick, say }: Context): Promise<Result> {
    const measures: Measure[] = [];
    const goals: Goal[] = [];
    for (const size of documentSizes) {
      const answer = searchAnswer(size);
      const bytes = Math.round(scanSearchAnswer(answer).hits.sourceBytesOf(0, pageDocuments) / pageDocuments);
      const rates = (rounds: number, work: () => void) => ratesOf(quick ? 3 : 5, rounds, work, answer.length);
      const scanned = rates(30, () => scan(answer));
      const parsed = rates(5, () => parseAndPrint(answer));
      const label = `documents of ${bytes} bytes`;
      say(`${label}: ${show(median(scanned))} MB/s sliced, ${show(median(parsed))} MB/s parsed and printed`);
      measures.push(
        { name: `span scanner, ${label}`, unit: 'MB/s', values: scanned },
        { name: `JSON.parse + stringify, ${label}`, unit: 'MB/s', values: parsed },
      );
      const ratio = median(scanned) / median(parsed);
      goals.push({ name: `slicing beside parsing, ${label}`, value: ratio, unit: '×', bound: { atLeast: 2 }, enforced: true });
      if (size === 0) continue;
      const bound = { atLeast: floorMbPerSecond };
      goals.push({ name: `span scanner, ${label}`, value: median(scanned), unit: 'MB/s', bound, enforced: false });
    }
    return Promise.resolve({ measures, goals });
  },
};

/** MB/s of the fastest run of each repetition: what the work costs when nothing else is in its way. */
function ratesOf(repetitions: number, rounds: number, work: () => void, bytes: number): number[] {
  return Array.from({ length: repetitions }, () => {
    let bestMs = Number.POSITIVE_INFINITY;
    for (let round = 0; round < rounds; round++) {
      const startedAt = performance.now();
      work();
      bestMs = Math.min(bestMs, performance.now() - startedAt);
    }
    return bytes / 1e3 / bestMs;
  });
}

/** The answer of a server to one page, with documents of at least so many bytes. */
function searchAnswer(documentBytes: number): Buffer {
  const text = 'the quick brown fox jumps over the lazy dog while the city sleeps; '.repeat(16);
  const hits = [...places(pageDocuments)].map((place, i) => {
    const missing = documentBytes - place.source.length - ',"about":""'.length;
    const source = missing > 0 ? `${place.source.slice(0, -1)},"about":"${text.slice(0, missing)}"}` : place.source;
    const head = `"_index":"places-2025","_id":"AZqx8dkjf_${i}","_version":1,"_seq_no":${i},"_primary_term":1,"_score":null`;
    return `{${head},"_source":${source},"sort":[${i}]}`;
  });
  const shards = '{"total":1,"successful":1,"skipped":0,"failed":0}';
  return Buffer.from(`{"took":5,"timed_out":false,"_shards":${shards},"hits":{"max_score":null,"hits":[${hits.join(',')}]}}`);
}

function scan(answer: Buffer): void {
  if (scanSearchAnswer(answer).hits.length !== pageDocuments) throw new Error('the scanner has lost documents');
}

function parseAndPrint(answer: Buffer): void {
  const { hits } = (JSON.parse(answer.toString()) as { hits: { hits: { _source: unknown }[] } }).hits;
  for (const hit of hits) Buffer.from(JSON.stringify(hit._source));
}
