import type { ElasticClient } from './client.ts';
import { percentEncode } from './path.ts';

/** How an index keeps documents: as sent, not at all, rebuilt from fields, or with fields left out. */
export type SourceMode = 'stored' | 'disabled' | 'synthetic' | 'filtered';

type SourceJson = { enabled?: boolean | string; mode?: string; includes?: unknown[]; excludes?: unknown[] };
type MappingsJson = Record<string, { mappings?: { _source?: SourceJson } }>;

/** Names of at most 255 bytes, encoded up to three times as long: stays within the 4 KiB of a request's first line for usual names. */
const namesBytesMax = 2_500;

/** Reads the `_source` part of the mappings of these indices. One that has vanished since counts as `stored`: whoever follows it will see. */
export async function sourceModes(
  client: ElasticClient,
  indices: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, SourceMode>> {
  const modes = new Map<string, SourceMode>();
  for (const names of chunksOfNames(indices, namesBytesMax)) {
    const answer = (await client.json({
      method: 'GET',
      path: `/${percentEncode(names.join(','))}/_mapping`,
      query: { filter_path: '*.mappings._source', ignore_unavailable: true, allow_no_indices: true, expand_wildcards: 'all' },
      needs: 'the index privilege `view_index_metadata`',
      signal,
    })) as MappingsJson;
    for (const name of names) modes.set(name, sourceMode(answer[name]?.mappings?._source));
  }
  return modes;
}

function sourceMode(source: SourceJson | undefined): SourceMode {
  if (source === undefined) return 'stored';
  if (String(source.enabled) === 'false' || source.mode === 'disabled') return 'disabled';
  if (source.mode === 'synthetic') return 'synthetic';
  return (source.includes ?? []).length + (source.excludes ?? []).length > 0 ? 'filtered' : 'stored';
}

/** Groups of names whose encoded list stays below a length; a single longer name is a group of its own. */
export function chunksOfNames(names: readonly string[], bytesMax: number): string[][] {
  const chunks: string[][] = [];
  let bytes = bytesMax;
  for (const name of names) {
    const more = percentEncode(name).length + 3;
    if (bytes + more > bytesMax) {
      chunks.push([]);
      bytes = 0;
    }
    chunks.at(-1)!.push(name);
    bytes += more;
  }
  return chunks;
}
