import { hash } from 'node:crypto';
import type { Cluster } from './cluster.ts';
import { readDocuments, type RawDocument } from './read-documents.ts';

type DifferenceKind = 'missing' | 'extra' | 'different';
type Difference = { kind: DifferenceKind; id: string; routing: string | undefined };
type IndexComparison = {
  index: string;
  /** At the source. */
  documents: number;
  missing: number;
  extra: number;
  different: number;
  /** The first few. */
  samples: Difference[];
};
export type Comparison = Omit<IndexComparison, 'index' | 'samples'> & { indices: IndexComparison[] };
export type CompareOptions = {
  /** Wildcard pattern of the indices, of both sides. */
  pattern: string;
  /** Indices that the target may have and the source no longer has: they are left out. */
  kept?: readonly string[];
  /** False where the source must not be refreshed from outside. Default true. */
  refreshSource?: boolean;
};

const samplesMax = 8;

/** Compares id, routing and raw source text of all documents in the open indices of both clusters. Everything should be at rest. */
export async function compare(source: Cluster, target: Cluster, options: CompareOptions): Promise<Comparison> {
  if (options.refreshSource !== false) await source.refresh(options.pattern);
  await target.refresh(options.pattern);
  const there = await openIndices(source, options);
  const here = await openIndices(target, options);
  const indices: IndexComparison[] = [];
  for (const index of [...new Set([...there, ...here])].sort()) {
    indices.push(await compareIndex(index, there.has(index) ? source : undefined, here.has(index) ? target : undefined));
  }
  const sum = (key: 'documents' | DifferenceKind): number => indices.reduce((total, one) => total + one[key], 0);
  return { indices, documents: sum('documents'), missing: sum('missing'), extra: sum('extra'), different: sum('different') };
}

async function openIndices(cluster: Cluster, options: CompareOptions): Promise<Set<string>> {
  const open = (await cluster.indices(options.pattern)).filter((one) => one.open).map((one) => one.index);
  return new Set(open.filter((index) => options.kept?.includes(index) !== true));
}

async function compareIndex(index: string, source: Cluster | undefined, target: Cluster | undefined): Promise<IndexComparison> {
  const result: IndexComparison = { index, documents: 0, missing: 0, extra: 0, different: 0, samples: [] };
  const note = (kind: DifferenceKind, key: string): void => {
    result[kind]++;
    const [id, routing] = JSON.parse(key) as [string, string | null];
    if (result.samples.length < samplesMax) result.samples.push({ kind, id, routing: routing ?? undefined });
  };
  const wanted = new Map<string, string>();
  if (source !== undefined) {
    for await (const page of readDocuments(source, index)) for (const one of page) wanted.set(keyOf(one), digestOf(one));
  }
  result.documents = wanted.size;
  const seen = new Set<string>();
  if (target !== undefined) {
    for await (const page of readDocuments(target, index)) {
      for (const one of page) {
        const key = keyOf(one);
        const digest = wanted.get(key);
        if (digest === undefined || seen.has(key)) note('extra', key);
        else if (digest !== digestOf(one)) note('different', key);
        seen.add(key);
      }
    }
  }
  for (const key of wanted.keys()) if (!seen.has(key)) note('missing', key);
  return result;
}

function keyOf(document: RawDocument): string {
  return JSON.stringify([document.id, document.routing ?? null]);
}

function digestOf(document: RawDocument): string {
  return hash('sha256', document.source, 'base64');
}

export function isExact(comparison: Comparison): boolean {
  return comparison.missing + comparison.extra + comparison.different === 0;
}

/** For a failure: a line an index that differs, and what both sides say about the first few documents. */
export async function describeDifferences(comparison: Comparison, source: Cluster, target: Cluster): Promise<string> {
  const lines = [totals(comparison)];
  for (const one of comparison.indices) {
    if (one.samples.length === 0) continue;
    lines.push(`  ${one.index}: ${totals(one)}`);
    for (const sample of one.samples) {
      lines.push(`    ${sample.kind}: ${JSON.stringify(sample.id)} routing ${sample.routing ?? 'none'}`);
      lines.push(
        `      source ${await look(source, one.index, sample)}`,
        `      target ${await look(target, one.index, sample)}`,
      );
    }
  }
  return lines.join('\n');
}

function totals(one: Omit<IndexComparison, 'index' | 'samples'>): string {
  return `${one.documents} documents, ${one.missing} missing, ${one.extra} extra, ${one.different} different`;
}

async function look(cluster: Cluster, index: string, sample: Difference): Promise<string> {
  const query = { version: true, seq_no_primary_term: true, query: { ids: { values: [sample.id] } } };
  const reply = await cluster.send('POST', `/${encodeURIComponent(index)}/_search?filter_path=hits.hits`, JSON.stringify(query));
  return reply.body.toString('utf8', 0, 700);
}
