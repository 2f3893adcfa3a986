import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { count, createPlacesIndex, refresh } from '../scripts/demo/cluster.ts';
import type { WriterStats } from '../scripts/demo/stack.ts';
import { until } from '../scripts/demo/until.ts';
import { elasticdump } from './elasticdump.ts';
import { costOf, watchCost, type Cost } from './process-cost.ts';
import { endPair, preparePair, type Engines } from './stack.ts';

/** One copy of an index from the source to the target. CPU times are of this copy alone. */
export type Copy = {
  tookMs: number;
  /** Of the contender's own processes, by name. */
  processes: Record<string, Cost>;
  engines: { sourceCpuMs: number; targetCpuMs: number };
};

export type Contender = { name: string; copy: (engines: Engines, job: Job) => Promise<Copy> };

type Job = { from: string; to: string; documents: number };

const withinMs = 900_000;

/** Programs started, index copied, last document acknowledged by the target. */
export const ours: Contender = {
  name: 'es-watcher + es-writer',
  copy: (engines, job) =>
    timed(engines, job, async () => {
      const pair = await preparePair(engines, job);
      const { nats, watcher, writer } = pair;
      const startedAt = performance.now();
      await Promise.all([watcher.start(), writer.start()]);
      const stored = async () => ((await writer.stats<WriterStats>())?.documents.stored ?? 0) >= job.documents;
      await until('the last document', stored, { everyMs: 25, withinMs });
      const tookMs = performance.now() - startedAt;
      const processes = {
        'es-watcher': costOf(watcher.pid),
        'es-writer': costOf(writer.pid),
        'nats-server': costOf(nats.pid),
      };
      await endPair(pair);
      return { tookMs, processes };
    }),
};

/** The target fetches the documents itself; pages of 1,000, its default. */
export const reindex: Contender = {
  name: '_reindex from remote',
  copy: (engines, job) =>
    timed(engines, job, async () => {
      const startedAt = performance.now();
      await fetchAll(engines, job.from, job.to);
      return { tookMs: performance.now() - startedAt, processes: {} };
    }),
};

export async function fetchAll({ source, to }: Engines, index: string, copy: string): Promise<void> {
  const body = { source: { remote: { host: source.url }, index }, dest: { index: copy } };
  await to.ok({ method: 'POST', path: '/_reindex', body: JSON.stringify(body), timeoutMs: withinMs });
}

/** With larger requests than its default of 100 documents, which is several times slower. */
export const dump: Contender = {
  name: 'elasticdump',
  copy: (engines, job) =>
    timed(engines, job, async () => {
      const { program } = await elasticdump();
      const startedAt = performance.now();
      const child = spawn(
        process.execPath,
        [
          program,
          `--input=${engines.source.url}/${job.from}`,
          `--output=${engines.target.url}/${job.to}`,
          '--type=data',
          '--limit=5000',
          '--quiet',
        ],
        { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, NODE_NO_WARNINGS: '1' } },
      );
      let complaints = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
      const cost = watchCost(child.pid!);
      const [code] = (await once(child, 'close')) as [number | null];
      if (code !== 0) throw new Error(`elasticdump ended with ${code}: ${complaints.slice(-500)}`);
      return { tookMs: performance.now() - startedAt, processes: { elasticdump: cost() } };
    }),
};

/** Runs a copy into a new index, which is removed again, and makes sure that every document has arrived. */
async function timed(engines: Engines, job: Job, work: () => Promise<Omit<Copy, 'engines'>>): Promise<Copy> {
  await createPlacesIndex(engines.to, job.to);
  const before = { source: costOf(engines.source.pid).cpuMs, target: costOf(engines.target.pid).cpuMs };
  const copy = await work();
  const sourceCpuMs = costOf(engines.source.pid).cpuMs - before.source;
  const targetCpuMs = costOf(engines.target.pid).cpuMs - before.target;
  await refresh(engines.to, job.to);
  const arrived = await count(engines.to, job.to);
  if (arrived !== job.documents) throw new Error(`${arrived} documents arrived of ${job.documents}`);
  await engines.to.ok({ method: 'DELETE', path: `/${job.to}` });
  return { ...copy, engines: { sourceCpuMs, targetCpuMs } };
}
