import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import {
  ELASTICSEARCH_LINES,
  OPENSEARCH_LINES,
  startElasticsearch,
  startOpenSearch,
  temporaryDirectory,
  type Server,
} from '../../scripts/servers.ts';
import type { SoakResult } from '../../scripts/docs/reliability.ts';
import type { Habits } from '../support/client.ts';
import { faultRound, type Round } from '../support/fault-round.ts';
import { Random, seedOfRun } from '../support/random.ts';

/**
 * Rounds of a random workload under kills, each compared document by document, for MINUTES (30), with SEED, from SOURCE (elasticsearch/8.19)
 * to TARGET (opensearch/2.19). The totals are appended to docs/reliability.jsonl, or the file named by RESULTS; scripts/docs.ts
 * makes docs/reliability.md of it.
 */
const minutes = Number(process.env['MINUTES'] ?? 30);
const seed = seedOfRun('soak');
const root = join(import.meta.dirname, '../..');
const results = process.env['RESULTS'] ?? join(root, 'docs/reliability.jsonl');
/** Many small documents, short lives: a quarter and more of all operations are deletes. */
const habits: Partial<Habits> = {
  weights: {
    write: 6,
    writeAuto: 2,
    update: 6,
    delete: 6,
    bulk: 30,
    burst: 34,
    deleteByQuery: 3,
    updateByQuery: 0.6,
    large: 0.2,
    recreate: 0.3,
    rollover: 0.2,
  },
  bulk: [100, 500],
};

/** Starts the engine that a key such as `opensearch/3.8` names. */
async function start(key: string): Promise<Server> {
  const options = { dataDir: join(temporaryDirectory('soak'), 'engine'), heap: '1g' };
  const elasticsearch = ELASTICSEARCH_LINES.find((line) => key === `elasticsearch/${line}`);
  if (elasticsearch !== undefined) return startElasticsearch({ ...options, version: elasticsearch });
  const opensearch = OPENSEARCH_LINES.find((line) => key === `opensearch/${line}`);
  if (opensearch !== undefined) return startOpenSearch({ ...options, version: opensearch });
  throw new Error(`${key} is none of elasticsearch/${ELASTICSEARCH_LINES.join(', ')}, opensearch/${OPENSEARCH_LINES.join(', ')}`);
}

const source = await start(process.env['SOURCE'] ?? 'elasticsearch/8.19');
const target = await start(process.env['TARGET'] ?? 'opensearch/2.19');
const startedAt = Date.now();
const total: SoakResult = {
  date: new Date().toISOString().slice(0, 10),
  seed,
  commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim(),
  machine: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  source: source.name,
  target: target.name,
  minutes: 0,
  rounds: 0,
  operations: 0,
  deletes: 0,
  kills: 0,
  documents: 0,
  outcome: 'exact',
};

function add(round: Round): void {
  total.rounds++;
  total.operations += round.tally.operations;
  total.deletes += round.tally.deletes;
  total.documents += round.comparison.documents;
  for (const kills of round.killed.values()) total.kills += kills;
}

while (Date.now() - startedAt < minutes * 60_000 && total.outcome === 'exact') {
  const name = `${seed}/${total.rounds}`;
  const random = new Random(name);
  const shape = random.fork('shape');
  try {
    const round = await faultRound({
      random,
      prefix: `soak${total.rounds}`,
      source: source.url,
      target: target.url,
      clients: shape.between(2, 6),
      operations: shape.between(30_000, 90_000),
      kills: 1_000,
      perSecond: 1_200,
      betweenKillsMs: [300, 4_000],
      habits,
      idsEach: shape.pick([300, 2_000, 10_000]),
      ...(shape.chance(0.4) ? { targetShards: shape.between(1, 4) } : {}),
      watcherFlags: shape.chance(0.15) ? ['--refresh=passive'] : [],
      exactWithinMs: 600_000,
    });
    add(round);
    const killed = JSON.stringify(Object.fromEntries(round.killed));
    console.log(`round ${name}: ${String(round.tally)}; killed ${killed}; ${round.comparison.documents} documents equal`);
  } catch (error) {
    total.outcome = 'different';
    console.error(`round ${name} failed:`, error);
  }
  total.minutes = Math.round((Date.now() - startedAt) / 60_000);
  console.log(
    `  so far, in ${total.minutes} minutes: ${total.operations} operations, ${total.deletes} deletes, ${total.kills} kills, ${total.documents} documents equal`,
  );
}
appendFileSync(results, `${JSON.stringify(total)}\n`);
console.log(JSON.stringify(total));
process.exit(total.outcome === 'exact' ? 0 : 1);
