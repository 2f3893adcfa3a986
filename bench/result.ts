/** What a benchmark measured. `floors` are what may not be fallen short of on the machines this project is built on. */
export type BenchResult = {
  name: string;
  rows: { label: string; value: number; unit: string; note?: string }[];
  floors: { label: string; measured: number; floor: number; unit: string }[];
};

/** Runs a benchmark whose file was started by itself, and prints what it measured. */
export async function runAlone(meta: ImportMeta, run: () => Promise<BenchResult>): Promise<void> {
  if (meta.main) process.stdout.write(`${JSON.stringify(await run(), null, 2)}\n`);
}

/** The shortest of `rounds` runs, in ms: what the work costs when nothing else is in its way. */
export function fastestMs(rounds: number, work: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}
