import { workAhead } from '../core/ahead.ts';
import { GatewayError } from '../core/errors.ts';
import type { ObjectStore, StoredObject } from '../core/strategy.ts';
import { openBlock } from './block-reader.ts';
import type { BlockHeader } from './block-header.ts';
import { BlockDamage, damageOf, readTwice } from './damage.ts';
import { blockFolder, parseBlockKey, trimPrefix, type BlockName } from './key.ts';
import { decodePreamble, frontBytes } from './layout.ts';

/** Which blocks; what is left out does not matter. Without a prefix: under any. */
export type BlockPlace = { prefix?: string | undefined; stream?: string | undefined; job?: string | undefined };

export type FoundBlock = StoredObject & { name: BlockName };

export type ReadableBlock = FoundBlock & { header: BlockHeader };

/** A block and its header, or why it has none: ARCHIVE_DAMAGED, ARCHIVE_NEWER, or it went after it was found. */
export type DescribedBlock = ReadableBlock | (FoundBlock & ({ error: GatewayError } | { gone: true }));

/** Headers that are read at once. */
const readAtOnce = 16;

/** From keys alone, in their order. Objects that are no blocks are passed over. */
export async function* findBlocks(store: ObjectStore, place: BlockPlace, signal?: AbortSignal): AsyncGenerator<FoundBlock> {
  const { prefix, stream, job } = place;
  const folder = prefix === undefined ? '' : blockFolder(prefix, stream, stream === undefined ? undefined : job);
  for await (const object of store.list(folder, undefined, signal)) {
    const name = parseBlockKey(object.key);
    if (name === undefined) continue;
    if (prefix !== undefined && name.prefix !== trimPrefix(prefix)) continue;
    if ((stream ?? name.stream) !== name.stream || (job ?? name.job) !== name.job) continue;
    yield { ...object, name };
  }
}

/** With their headers: a small read each (ndjson has none and is read whole). */
export function describeBlocks(
  store: ObjectStore,
  blocks: Iterable<FoundBlock> | AsyncIterable<FoundBlock>,
  signal?: AbortSignal,
): AsyncGenerator<DescribedBlock> {
  return workAhead(blocks, readAtOnce, (block) => describe(store, block, signal));
}

async function describe(store: ObjectStore, block: FoundBlock, signal: AbortSignal | undefined): Promise<DescribedBlock> {
  const { key } = block;
  try {
    if (block.name.format === 'ndjson') {
      return await readTwice(async () => {
        const body = await store.get(key, undefined, signal);
        return body === undefined ? { ...block, gone: true } : { ...block, header: (await openBlock(key, body)).header };
      });
    }
    const header = await readTwice(() => readHeader(store, block, signal));
    return header === undefined ? { ...block, gone: true } : { ...block, header };
  } catch (error) {
    const failure = damageOf(key, error);
    if (!failure.code.startsWith('ARCHIVE_')) throw error;
    return { ...block, error: failure };
  }
}

async function readHeader(
  store: ObjectStore,
  block: FoundBlock,
  signal: AbortSignal | undefined,
): Promise<BlockHeader | undefined> {
  if (block.bytes === 0) throw new BlockDamage('it is empty');
  let bytes = Math.min(frontBytes, block.bytes);
  for (;;) {
    const front = await store.get(block.key, { from: 0, to: bytes - 1 }, signal);
    if (front === undefined) return undefined;
    const preamble = decodePreamble(front);
    if ('header' in preamble) return checkName(preamble.header, block.name);
    if (preamble.bytesNeeded > block.bytes) throw new BlockDamage('it ends within its header', { offset: block.bytes });
    bytes = preamble.bytesNeeded;
  }
}

/** An object that was copied or renamed by hand would be read in the wrong place. */
export function checkName(header: BlockHeader, name: BlockName): BlockHeader {
  const same =
    header.stream === name.stream &&
    header.job === name.job &&
    header.firstSequence === name.firstSequence &&
    header.lastSequence === name.lastSequence;
  if (!same) {
    const holds = `messages ${header.firstSequence} to ${header.lastSequence} of stream ${header.stream}, job ${header.job}`;
    throw new BlockDamage(`its key does not fit: it holds ${holds}`);
  }
  return header;
}
