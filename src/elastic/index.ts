export { ElasticError } from './errors.ts';
export { scanSearchAnswer, type Hit, type SearchAnswer, type ShardsFact } from './spans.ts';
