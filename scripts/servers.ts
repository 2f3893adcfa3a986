/** Real servers as child processes, for tests, the demo, benchmarks and the development stack. They are installed on demand. */
export { ELASTICSEARCH_LINES, elasticsearchRelease, type ElasticsearchLine } from './provision/elasticsearch.ts';
export { OPENSEARCH_LINES, opensearchRelease, type OpenSearchLine } from './provision/opensearch.ts';
export { startNats, type NatsOptions } from './servers/nats.ts';
export { freePort, isFree } from './servers/ports.ts';
export { ServerPool, type SharedServer } from './servers/pool.ts';
export { isAlive, Server } from './servers/process.ts';
export { startS3, type S3Credentials, type S3Options } from './servers/s3.ts';
export { startElasticsearch, startOpenSearch, type ElasticsearchOptions, type SearchOptions } from './servers/search.ts';
export type { Security } from './servers/security.ts';
export { temporaryDirectory } from './servers/watchdog.ts';
