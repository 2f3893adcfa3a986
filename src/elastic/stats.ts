import type { ElasticClient } from './client.ts';
import { percentEncode } from './path.ts';
import { shardsFact } from './spans.ts';

/** A started primary, as `_stats?level=shards` shows it. */
export type PrimaryShard = {
  /** Id of the node it is on. */
  node: string;
  state: string;
  globalCheckpoint: number;
  localCheckpoint: number;
  maxSeqNo: number;
  /** Changes when a shard's history was forked: restored, or forced to an older copy. */
  historyUuid: string;
  /** Refreshes that made changes visible to searches. Only where it was asked for. */
  refreshTotal: number | undefined;
  /** What those took together, in ms. Only where it was asked for. */
  refreshTimeMs: number | undefined;
};

/** Shards without a started primary are absent. */
export type IndexStats = { uuid: string; shards: Map<number, PrimaryShard> };

/** `failed` shards did not answer, and are absent too; `failures` is the server's JSON. */
export type ShardStats = { indices: Map<string, IndexStats>; failed: number; failures: string };

/** The first line of a request must stay below 4 KiB (`http.max_initial_line_length`). */
const targetBytesMax = 2_500;

const wanted = [
  '_shards',
  'indices.*.uuid',
  'indices.*.shards.*.routing.state',
  'indices.*.shards.*.routing.primary',
  'indices.*.shards.*.routing.node',
  'indices.*.shards.*.seq_no.max_seq_no',
  'indices.*.shards.*.seq_no.local_checkpoint',
  'indices.*.shards.*.seq_no.global_checkpoint',
  'indices.*.shards.*.commit.user_data.history_uuid',
];

type ShardJson = {
  routing?: { state?: string; primary?: boolean; node?: string };
  seq_no?: { max_seq_no?: number; local_checkpoint?: number; global_checkpoint?: number };
  commit?: { user_data?: { history_uuid?: string } };
  refresh?: { external_total?: number; external_total_time_in_millis?: number };
};
type StatsJson = { _shards?: unknown; indices?: Record<string, { uuid?: string; shards?: Record<string, ShardJson[]> }> };

/**
 * Where every shard of these indices stands. One request however many there are: more names than an address holds become `*`. An index
 * that has vanished or is closed is absent. `refreshes` asks for the number of refreshes as well.
 */
export async function shardStats(
  client: ElasticClient,
  indices: readonly string[],
  options: { refreshes?: boolean; signal?: AbortSignal | undefined } = {},
): Promise<ShardStats> {
  if (indices.length === 0) return { indices: new Map(), failed: 0, failures: '' };
  const names = percentEncode(indices.join(','));
  const target = names.length > targetBytesMax ? '*' : names;
  const filter = options.refreshes === true ? [...wanted, 'indices.*.shards.*.refresh.external_total*'] : wanted;
  const answer = await client.json({
    method: 'GET',
    path: `/${target}/_stats/${options.refreshes === true ? 'refresh' : 'indexing'}`,
    query: {
      level: 'shards',
      filter_path: filter.join(','),
      expand_wildcards: 'open,hidden',
      ignore_unavailable: true,
      allow_no_indices: true,
    },
    needs: 'the index privilege `monitor`',
    signal: options.signal,
  });
  return readStats(answer as StatsJson, new Set(indices));
}

function readStats(answer: StatsJson, wantedIndices: ReadonlySet<string>): ShardStats {
  const { failed, failures } = shardsFact(answer._shards);
  const indices = new Map<string, IndexStats>();
  for (const [name, index] of Object.entries(answer.indices ?? {})) {
    if (!wantedIndices.has(name)) continue;
    const shards = new Map<number, PrimaryShard>();
    for (const [shard, copies] of Object.entries(index.shards ?? {})) {
      const primary = copies.find((copy) => copy.routing?.primary === true);
      const facts = primary === undefined ? undefined : primaryShard(primary);
      if (facts !== undefined) shards.set(Number(shard), facts);
    }
    indices.set(name, { uuid: index.uuid ?? '', shards });
  }
  return { indices, failed, failures };
}

/**
 * Undefined for a copy that is not started: it has no numbers yet, or, while it replays its translog, numbers that are lower than what it
 * has acknowledged before.
 */
function primaryShard({ routing, seq_no: seqNo, commit, refresh }: ShardJson): PrimaryShard | undefined {
  const historyUuid = commit?.user_data?.history_uuid;
  if (routing?.state !== 'STARTED' && routing?.state !== 'RELOCATING') return undefined;
  if (routing.node === undefined || seqNo?.global_checkpoint === undefined || historyUuid === undefined) return undefined;
  return {
    node: routing.node,
    state: routing.state,
    globalCheckpoint: seqNo.global_checkpoint,
    localCheckpoint: seqNo.local_checkpoint ?? -1,
    maxSeqNo: seqNo.max_seq_no ?? -1,
    historyUuid,
    refreshTotal: refresh?.external_total,
    refreshTimeMs: refresh?.external_total_time_in_millis,
  };
}
