/** Blocks of messages in an object storage: written once, read whole or in part. docs/archive-format.md */
export { openBlock } from './block-reader.ts';
export { BlockWriter, type BlockOptions, type SealedBlock } from './block-writer.ts';
export { findBlocks, type BlockPlace } from './catalog.ts';
export { compactArchive } from './compact.ts';
export { ArchiveDamaged } from './damage.ts';
export { decodeHeaders, encodeHeaders } from './header-block.ts';
export { blockFolder, blockKey, parseBlockKey, trimPrefix, type BlockFormat, type Compression } from './key.ts';
export { timeOf, type ArchiveMessage } from './message.ts';
export { messageToJson } from './ndjson.ts';
export { pruneArchive } from './prune.ts';
export type { OpenedPart } from './part.ts';
export { readArchive, readRuns, type ArchivePosition, type ArchiveRuns, type ReadOptions } from './read-archive.ts';
export type { Selection } from './selection.ts';
export { storeBlock } from './store-block.ts';
export { summariseArchive } from './summary.ts';
export { formatTime, parseTime, splitTime } from './time.ts';
export { verifyArchive, type Finding } from './verify.ts';
