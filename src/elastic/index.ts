export { ElasticError } from './errors.ts';
export { connectCluster } from './connect.ts';
export { createClient, type ElasticClient, type ElasticRequest } from './client.ts';
export { indexPath } from './path.ts';
export { identify, type Server } from './server.ts';
export { type Hit, hitsOf, scanSearchAnswer } from './spans.ts';
export {
  findIds,
  histogram,
  refresh,
  searchPage,
  sequenceNumbersIn,
  type Reader,
  type SeqRange,
  type ShardCopyAddress,
} from './search.ts';
export { shardStats, type IndexStats, type PrimaryShard, type ShardStats } from './stats.ts';
export { parseIndexPatterns } from './patterns.ts';
export { createIndexDirectory, type IndexDirectory, type IndexFacts } from './indices.ts';
export { BulkWriter, type BulkFact } from './bulk-writer.ts';
export { GcDeletes, type GcDeletesFact } from './gc-deletes.ts';
export { clientOptionsOf } from './from-settings.ts';
