/** Object storage behind one interface: S3, and a bucket in memory for tests. */
export { MemoryObjectStore } from './memory.ts';
export { retryingStore } from './retrying.ts';
export { S3ObjectStore, type S3Settings } from './s3.ts';
