import type { Cluster } from './cluster.ts';
import { idPool } from './ids.ts';

/** One place that the clients of a workload write to. */
export type IndexPlan = {
  /** The index, alias or data stream that requests name. No plan's name may begin with another's. */
  name: string;
  kind: 'index' | 'alias' | 'stream';
  shards: number;
  /** What clients choose ids from; they meet there. */
  ids: readonly string[];
  /** `moved`: a client deletes its document under one routing and writes it under another. */
  routing?: 'fixed' | 'moved';
  nested?: boolean;
  /** True where nothing is updated in part, so that documents may hold what an engine cannot print anew. */
  unprintable?: boolean;
  /** Now and then deleted and created again under its name. */
  recreated?: boolean;
};

export type PlanOptions = { aliases?: boolean; streams?: boolean; idsEach?: number };

/** Indices of every kind, so many that all clients are busy and so few that they meet. */
export function standardPlans(prefix: string, options: PlanOptions = {}): IndexPlan[] {
  const size = options.idsEach ?? 600;
  const plans: IndexPlan[] = [
    { name: `${prefix}-plain`, kind: 'index', shards: 3, ids: idPool(size, false) },
    { name: `${prefix}-odd`, kind: 'index', shards: 2, ids: idPool(size, true), unprintable: true },
    { name: `${prefix}-single`, kind: 'index', shards: 1, ids: idPool(size / 2, true) },
    { name: `${prefix}-nested`, kind: 'index', shards: 2, ids: idPool(size / 2, false), nested: true },
    { name: `${prefix}-routed`, kind: 'index', shards: 5, ids: idPool(size, true), routing: 'fixed' },
    { name: `${prefix}-again`, kind: 'index', shards: 2, ids: idPool(size / 4, false), recreated: true },
  ];
  if (options.aliases !== false) plans.push({ name: `${prefix}-alias`, kind: 'alias', shards: 1, ids: idPool(size / 2, false) });
  if (options.streams === true) plans.push({ name: `${prefix}-stream`, kind: 'stream', shards: 2, ids: [] });
  return plans;
}

/** Fixed function of the id; some share a routing, and some routings are odd themselves. */
export function fixedRouting(id: string): string {
  const sum = Buffer.from(id).reduce((total, byte) => total + byte, 0);
  return sum % 7 === 0 ? `r/${sum % 3} "é%` : `r${sum % 11}`;
}

function template(plan: IndexPlan, shards: number, patterns: string[], stream: boolean): unknown {
  const nested =
    plan.nested === true ? { items: { type: 'nested', properties: { k: { type: 'keyword' }, n: { type: 'long' } } } } : {};
  const properties = { group: { type: 'keyword' }, n: { type: 'long' }, '@timestamp': { type: 'date' }, ...nested };
  return {
    index_patterns: patterns,
    priority: 900,
    template: { settings: { number_of_shards: shards, number_of_replicas: 0 }, mappings: { dynamic: false, properties } },
    ...(stream ? { data_stream: {} } : {}),
  };
}

/** Templates on both sides (a mapping is not ours to carry over), and the source's indices. */
export async function preparePlans(
  source: Cluster,
  target: Cluster,
  plans: readonly IndexPlan[],
  targetShards?: number,
): Promise<void> {
  for (const plan of plans) {
    const { name, kind, shards } = plan;
    const stream = kind === 'stream';
    await source.json('PUT', `/_index_template/${name}`, template(plan, shards, [stream ? name : `${name}*`], stream));
    const patterns = stream ? [`.ds-${name}-*`] : [`${name}*`];
    await target.json('PUT', `/_index_template/${name}`, template(plan, targetShards ?? shards, patterns, false));
    if (kind === 'index') await source.json('PUT', `/${name}`);
    if (kind === 'alias') await source.json('PUT', `/${name}-000001`, { aliases: { [name]: { is_write_index: true } } });
  }
}

/** Removes what `preparePlans` and the workload made, from one cluster. */
export async function removePlans(cluster: Cluster, plans: readonly IndexPlan[]): Promise<void> {
  for (const { name } of plans) {
    for (const { index } of await cluster.indices(`*${name}*`)) await cluster.send('DELETE', `/${index}`);
    await cluster.send('DELETE', `/_data_stream/${name}`);
    await cluster.send('DELETE', `/_index_template/${name}`);
  }
}
