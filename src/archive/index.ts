/** Blocks of messages in an object storage: written once, read whole or in part. */
export { BlockWriter, keyOf, type BlockOptions, type SealedBlock } from './block-writer.ts';
export { openBlock, readBlock } from './block-reader.ts';
export { ArchiveDamaged } from './damage.ts';
export { blockFolder, blockKey, parseBlockKey, trimPrefix, type BlockFormat, type BlockName, type Compression } from './key.ts';
export type { BlockHeader } from './layout.ts';
export { timeOf, type ArchiveMessage } from './message.ts';
export type { OpenedPart } from './part.ts';
