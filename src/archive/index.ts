/** Blocks of messages in an object storage: written once, read whole or in part. docs/archive-format.md */
export type { BlockHeader, BlockOrigin } from './block-header.ts';
export { openBlock, type WholeBlock } from './block-reader.ts';
export { BlockWriter, type BlockOptions, type SealedBlock } from './block-writer.ts';
export { ArchiveDamaged } from './damage.ts';
export { decodeHeaders, encodeHeaders, type HeaderLine } from './header-block.ts';
export { blockFolder, blockKey, parseBlockKey, trimPrefix, type BlockFormat, type BlockName, type Compression } from './key.ts';
export { timeOf, type ArchiveMessage } from './message.ts';
export { messageToJson } from './ndjson.ts';
export type { OpenedPart } from './part.ts';
export { storeBlock, type StoreOutcome } from './store-block.ts';
export { formatTime, parseTime, splitTime } from './time.ts';
export { describeBlocks, findBlocks, type BlockPlace, type DescribedBlock, type FoundBlock } from './catalog.ts';
export { readArchive, type ArchiveBatch, type ArchivePosition, type ReadOptions } from './read-archive.ts';
export type { Selection } from './selection.ts';
export type { Lost, OnDamage } from './stored-parts.ts';
