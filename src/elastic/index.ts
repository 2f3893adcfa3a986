export { ElasticError } from './errors.ts';
export type { Auth } from './auth.ts';
export type { AwsCredentials } from './sigv4.ts';
export { createClient, type ClientOptions, type ElasticAnswer, type ElasticClient, type ElasticRequest } from './client.ts';
export { indexPath } from './path.ts';
export { identify, type Server, type ServerVersion } from './server.ts';
export { scanSearchAnswer, type Hit, type SearchAnswer, type ShardsFact } from './spans.ts';
export {
  findIds,
  histogram,
  histogramRangesMax,
  refresh,
  searchPage,
  sequenceNumbersIn,
  type HistogramRequest,
  type PageRequest,
  type Reader,
  type SeqRange,
  type ShardCopyAddress,
} from './search.ts';
export { shardStats, type IndexStats, type PrimaryShard, type ShardStats } from './stats.ts';
export { parseIndexPatterns, type IndexPatterns } from './patterns.ts';
export { createIndexDirectory, type IndexDirectory, type IndexFacts } from './indices.ts';
export type { SourceMode } from './mappings.ts';
export { BulkEncoder, type EncodedBulk } from './bulk.ts';
export { readBulkAnswer } from './outcome.ts';
export { bodyBytesMaxDefault, BulkWriter, type BulkFact, type BulkWriterOptions } from './bulk-writer.ts';
export { GcDeletes, type GcDeletesFact, type GcDeletesOptions } from './gc-deletes.ts';
export { clientOptionsOf } from './from-settings.ts';
