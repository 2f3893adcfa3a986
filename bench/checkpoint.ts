import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../scripts/servers.ts';
import { DocumentSpans, idSpan, numbersEach, seqNoNumber, spansEach } from '../src/core/document-spans.ts';
import { Checkpoint, type ShardState } from '../src/es-watcher/checkpoint.ts';
import type { Benchmark, Context, Result } from './benchmark.ts';
import { median } from './figures.ts';

/** As the watcher does it by default for small documents: pages of two shards in turn, each durable before it is published. */
const pageRows = 2_500;
const shards = 2;
const floorPerSecond = 200_000;

type Run = { rowsPerSecond: number; cpuMicros: number; bytesPerRow: number };

export const benchmark: Benchmark = {
  name: 'checkpoint',
  title: 'Checkpoint store',
  about:
    'The watcher’s write-ahead list: pages of 2,500 documents with ids like GeoNames’, two shards in turn, one durable transaction ' +
    '(synced to disk) a page, and one that moves the checkpoint. It must never be the slow part, and not become slower as it grows.',
  async run({ quick, say }: Context): Promise<Result> {
    const sizes = quick ? [500_000] : [1_000_000, 10_000_000];
    const measures = [];
    const goals = [];
    for (const rows of sizes) {
      const label = rows.toLocaleString('en-US');
      const runs: Run[] = [];
      for (let round = 1; round <= (rows > 1_000_000 ? 1 : 3); round++) {
        say(`${label} documents, round ${round}`);
        runs.push(fill(rows));
      }
      const rates = runs.map((run) => run.rowsPerSecond);
      measures.push(
        { name: `${label} documents`, unit: 'documents/s', values: rates },
        { name: `${label} documents, CPU`, unit: 'µs/document', values: runs.map((run) => run.cpuMicros) },
        { name: `${label} documents, size of the file`, unit: 'bytes/document', values: runs.map((run) => run.bytesPerRow) },
      );
      const name = `checkpoint store at ${label} documents`;
      goals.push({ name, value: median(rates), unit: 'documents/s', bound: { atLeast: floorPerSecond }, enforced: false });
    }
    return { measures, goals };
  },
};

function fill(total: number): Run {
  const directory = temporaryDirectory('bench-checkpoint');
  const checkpoint = new Checkpoint(directory);
  const incarnation = checkpoint.addIncarnation('places', 'uuid', Date.now());
  const states = Array.from({ length: shards }, (_, shard) => checkpoint.addShard(incarnation, shard, 'history'));
  const before = process.cpuUsage();
  const startedAt = performance.now();
  for (let written = 0, page = 0; written < total; written += pageRows, page++) {
    const state = states[page % shards]!;
    const rows = pageAfter(state);
    checkpoint.transaction(true, () => checkpoint.rows.appendPage(state.key, rows));
    const next = { checkpoint: state.checkpoint + pageRows, owed: false, rewritten: 0 };
    checkpoint.transaction(false, () => checkpoint.advance(state, next, page + 1));
  }
  const tookMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(before);
  checkpoint.close();
  const { size } = statSync(join(directory, 'checkpoint.db'));
  rmSync(directory, { recursive: true });
  return { rowsPerSecond: (total / tookMs) * 1000, cpuMicros: (user + system) / total, bytesPerRow: size / total };
}

/** What the watcher knows of a page: where the ids stand in it. */
function pageAfter({ checkpoint, shard }: ShardState): DocumentSpans {
  const seqNos = Array.from({ length: pageRows }, (_, n) => checkpoint + 1 + n);
  const ids = seqNos.map((seqNo) => JSON.stringify(String(3_000_000 + shards * seqNo + shard)));
  const page = new DocumentSpans(Buffer.from(ids.join('')), pageRows);
  let at = 0;
  for (const [place, seqNo] of seqNos.entries()) {
    const row = page.add();
    page.spans[row * spansEach + idSpan] = at;
    page.spans[row * spansEach + idSpan + 1] = at += ids[place]!.length;
    page.numbers[row * numbersEach + seqNoNumber] = seqNo;
  }
  return page;
}
