import { places } from '../scripts/demo/places.ts';
import { scanSearchAnswer } from '../src/elastic/spans.ts';
import { fastestMs, runAlone, type BenchResult } from './result.ts';

/** Documents of a page, as a watcher reads them. */
const pageDocuments = 5_000;
const scannerFloor = 400;

/**
 * How fast documents are taken out of a search answer: sliced by the span scanner, beside JSON.parse of the answer and JSON.stringify of
 * every document. Real places, alone (about 130 bytes), with a line of text (330) and with a paragraph (1 KB).
 */
export async function run(): Promise<BenchResult> {
  const result: BenchResult = { name: 'span scanner', rows: [], floors: [] };
  for (const wantedBytes of [0, 330, 1_000]) {
    const answer = searchAnswer(wantedBytes);
    const megabytes = answer.length / 1e6;
    const documentBytes = Math.round(
      scanSearchAnswer(answer).hits.reduce((sum, hit) => sum + hit.source!.length, 0) / pageDocuments,
    );
    const scanner = megabytes / (fastestMs(60, () => scan(answer)) / 1_000);
    const parser = megabytes / (fastestMs(8, () => parseAndPrint(answer)) / 1_000);
    const label = `documents of ${documentBytes} bytes`;
    result.rows.push(
      { label: `span scanner, ${label}`, value: Math.round(scanner), unit: 'MB/s' },
      { label: `JSON.parse + stringify, ${label}`, value: Math.round(parser), unit: 'MB/s', note: 'changes numbers beyond 2^53' },
    );
    if (wantedBytes > 0) {
      result.floors.push({ label: `span scanner, ${label}`, measured: Math.round(scanner), floor: scannerFloor, unit: 'MB/s' });
    }
  }
  return Promise.resolve(result);
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

await runAlone(import.meta, run);
