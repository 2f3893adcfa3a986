import type { ElasticClient } from './client.ts';
import { ElasticError } from './errors.ts';
import { sourceModes, type SourceMode } from './mappings.ts';
import type { IndexPatterns, Name, SelectableIndex } from './patterns.ts';

/** What a watcher must know of an index before it follows it. */
export type IndexFacts = {
  name: string;
  /** Another one under the same name is another index. */
  uuid: string;
  /** ms since 1970 */
  createdAt: number;
  shards: number;
  hidden: boolean;
  /** The server's own. Elasticsearch 7 does not say. */
  system: boolean;
  closed: boolean;
  aliases: string[];
  /** The data stream whose backing index this is. */
  dataStream: string | undefined;
  /** False where `index.disable_sequence_numbers` is set. */
  sequenceNumbers: boolean;
  source: SourceMode;
  /** `index.translog.durability`: with `async`, a crash of a node can take back acknowledged writes. */
  durability: 'request' | 'async';
  resultWindowMax: number;
  /** `index.refresh_interval` in ms; −1 where it is off. */
  refreshIntervalMs: number;
  /** `index.mode`: `standard`, `time_series`, `logsdb` or `lookup`. */
  mode: string;
};

/** Reads which indices there are. */
export type IndexDirectory = { read(signal?: AbortSignal): Promise<IndexFacts[]> };

type ResolvedJson = {
  indices?: { name: string; aliases?: string[]; attributes?: string[]; data_stream?: string }[];
  aliases?: { name: string }[];
  data_streams?: { name: string }[];
};
type SettingsJson = Record<string, { settings?: Record<string, string> }>;

const settingsRead = [
  'index.uuid',
  'index.creation_date',
  'index.number_of_shards',
  'index.hidden',
  'index.disable_sequence_numbers',
  'index.mapping.source.mode',
  'index.translog.durability',
  'index.max_result_window',
  'index.refresh_interval',
  'index.mode',
];
const needs = 'the index privilege `view_index_metadata`';

/**
 * The indices these patterns mean, by name. Reading costs two small requests, a third where there are data streams or aliases of hidden
 * indices, and one more for indices not seen before (their mappings, remembered by uuid).
 */
export function createIndexDirectory(client: ElasticClient, patterns: IndexPatterns): IndexDirectory {
  let known = new Map<string, SourceMode>();
  return {
    async read(signal) {
      const [resolved, settings] = await Promise.all([resolve(client, signal), readSettings(client, signal)]);
      const selectable = resolved.map((index) => selectableIndex(index, settings[index.name]?.settings));
      await markHiddenNames(client, selectable, signal);
      // An index made or deleted between the two answers is in one of them only: the next reading has it, or not.
      const selected = selectable.filter((index) => index.settings['index.uuid'] !== undefined && patterns.selects(index));
      const unread = selected.filter((index) => !known.has(index.settings['index.uuid']!));
      const read = await sourceModes(
        client,
        unread.map((index) => index.name),
        signal,
      );
      const sources = new Map<string, SourceMode>();
      const facts: IndexFacts[] = [];
      for (const index of selected) {
        const uuid = index.settings['index.uuid']!;
        const source = known.get(uuid) ?? read.get(index.name);
        if (source === undefined) continue;
        sources.set(uuid, source);
        facts.push(indexFacts(index, uuid, source));
      }
      known = sources;
      return facts.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
  };
}

type Candidate = SelectableIndex & { system: boolean; closed: boolean; settings: Record<string, string> };

async function resolve(client: ElasticClient, signal: AbortSignal | undefined) {
  const query = { expand_wildcards: 'open,closed,hidden' };
  const answer = (await client.json({ method: 'GET', path: '/_resolve/index/*', query, needs, signal })) as ResolvedJson;
  return answer.indices ?? [];
}

async function readSettings(client: ElasticClient, signal: AbortSignal | undefined): Promise<SettingsJson> {
  const path = `/*/_settings/${settingsRead.join(',')}`;
  const query = { flat_settings: true, expand_wildcards: 'open,closed,hidden', ignore_unavailable: true, allow_no_indices: true };
  try {
    return (await client.json({ method: 'GET', path, query, needs, signal })) as SettingsJson;
  } catch (error) {
    // Some versions look twice at their list of indices, and one may have gone in between.
    if (!(error instanceof ElasticError) || error.code !== 'ES_NOT_FOUND') throw error;
    return (await client.json({ method: 'GET', path, query, needs, signal })) as SettingsJson;
  }
}

function selectableIndex(index: NonNullable<ResolvedJson['indices']>[number], settings: Record<string, string> = {}): Candidate {
  const attributes = index.attributes ?? [];
  const hidden = attributes.includes('hidden') || settings['index.hidden'] === 'true';
  return {
    name: index.name,
    hidden,
    aliases: (index.aliases ?? []).map((name) => ({ name, hidden: false })),
    dataStream: index.data_stream === undefined ? undefined : { name: index.data_stream, hidden: false },
    system: attributes.includes('system'),
    closed: attributes.includes('closed'),
    settings,
  };
}

/** Aliases and data streams can be hidden themselves, and only asking for the visible ones tells. */
async function markHiddenNames(
  client: ElasticClient,
  indices: readonly Candidate[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const names: Name[] = indices.flatMap((index) => (index.hidden ? index.aliases : []));
  for (const { dataStream } of indices) if (dataStream !== undefined) names.push(dataStream);
  if (names.length === 0) return;
  const query = { expand_wildcards: 'open,closed', filter_path: 'aliases.name,data_streams.name' };
  const answer = (await client.json({ method: 'GET', path: '/_resolve/index/*', query, needs, signal })) as ResolvedJson;
  const visible = new Set([...(answer.aliases ?? []), ...(answer.data_streams ?? [])].map(({ name }) => name));
  for (const name of names) name.hidden = !visible.has(name.name);
}

function indexFacts(index: Candidate, uuid: string, source: SourceMode): IndexFacts {
  const { name, hidden, system, closed, settings } = index;
  const synthetic = settings['index.mapping.source.mode'] === 'synthetic';
  return {
    name,
    uuid,
    createdAt: Number(settings['index.creation_date']),
    shards: Number(settings['index.number_of_shards']),
    hidden,
    system,
    closed,
    aliases: index.aliases.map((alias) => alias.name),
    dataStream: index.dataStream?.name,
    sequenceNumbers: settings['index.disable_sequence_numbers'] !== 'true',
    source: synthetic && source === 'stored' ? 'synthetic' : source,
    durability: settings['index.translog.durability']?.toLowerCase() === 'async' ? 'async' : 'request',
    resultWindowMax: Number(settings['index.max_result_window'] ?? 10_000),
    refreshIntervalMs: intervalMs(settings['index.refresh_interval']),
    mode: settings['index.mode'] ?? 'standard',
  };
}

const unitsMs: Readonly<Record<string, number>> = { nanos: 1e-6, micros: 1e-3, ms: 1, s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 };

/** A time as servers write it (`30s`); 1 s where there is none, as is their default. */
function intervalMs(text = '1s'): number {
  const [, number, unit] = /^(-?[\d.]+)(\w*)$/.exec(text) ?? [];
  return Number(number ?? 1) < 0 ? -1 : Number(number ?? 1) * (unitsMs[unit ?? 's'] ?? 1);
}
