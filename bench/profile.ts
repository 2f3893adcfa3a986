import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WriterStats } from '../scripts/demo/stack.ts';
import { createPlacesIndex } from '../scripts/demo/cluster.ts';
import { until } from '../scripts/demo/until.ts';
import { temporaryDirectory } from '../scripts/servers.ts';
import { endPair, loadPlaces, openEngines, preparePair, startEngines } from './stack.ts';

/**
 * Where watcher and writer spend their CPU time during a backfill: `profile.ts [DOCUMENTS]` prints a text summary of V8's CPU profiles.
 * The first backfill warms the engines; the second is profiled.
 */
type Profile = {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  /** µs between samples */
  timeDeltas: number[];
};

const linesShown = 25;

export function summarise(profile: Profile, documents: number): string {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const byPlace = new Map<string, number>();
  const byFile = new Map<string, number>();
  let busy = 0;
  for (const [at, sample] of profile.samples.entries()) {
    const { functionName, url, lineNumber } = frames.get(sample)!;
    const micros = profile.timeDeltas[at]!;
    if (functionName === '(idle)') continue;
    busy += micros;
    const file = shorten(url);
    add(byFile, file === '' ? functionName : file, micros);
    add(byPlace, `${functionName || '(anonymous)'} ${file === '' ? '' : `${file}:${lineNumber + 1}`}`, micros);
  }
  const table = (title: string, places: ReadonlyMap<string, number>) => [
    title,
    ...[...places]
      .sort(([, a], [, b]) => b - a)
      .slice(0, linesShown)
      .map(
        ([place, micros]) =>
          `${(micros / documents).toFixed(2).padStart(7)} ${((micros / busy) * 100).toFixed(1).padStart(5)} %  ${place}`,
      ),
  ];
  return [
    `${(busy / documents).toFixed(2)} µs a document, start included`,
    ...table('by file: µs a document', byFile),
    ...table('by function: µs a document', byPlace),
  ].join('\n');
}

function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value);
}

function shorten(url: string): string {
  return url.replace(/^.*\/(src|node_modules)\//, '$1/');
}

async function main(documents: number): Promise<void> {
  const engines = await openEngines(await startEngines());
  await loadPlaces(engines, 'places', documents);
  const profiles = temporaryDirectory('bench-profiles');
  for (const round of [0, 1]) {
    const to = `copy-${round}`;
    await createPlacesIndex(engines.to, to);
    const env = round === 0 ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-interval=500 --cpu-prof-dir=${profiles}` };
    const pair = await preparePair(engines, { from: 'places', to }, { env, programs: 'source' });
    await Promise.all([pair.watcher.start(), pair.writer.start()]);
    const stored = async () => ((await pair.writer.stats<WriterStats>())?.documents.stored ?? 0) >= documents;
    await until('the last document', stored, { withinMs: 900_000 });
    await endPair(pair);
  }
  for (const file of readdirSync(profiles)) {
    const text = readFileSync(join(profiles, file), 'utf8');
    const program = text.includes('src/es-watcher/watcher.ts') ? 'es-watcher' : 'es-writer';
    process.stdout.write(`\n${program}: ${summarise(JSON.parse(text) as Profile, documents)}\n`);
  }
  // the engines end with this process
  process.exit();
}

if (import.meta.main) await main(Number(process.argv[2] ?? 200_000));
