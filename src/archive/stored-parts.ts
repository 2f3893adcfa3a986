import { workAhead } from '../core/ahead.ts';
import type { ObjectStore } from '../core/strategy.ts';
import { openBlock, openPart } from './block-reader.ts';
import type { FoundBlock } from './catalog.ts';
import { asDamage, damageOf, readTwice, type ArchiveDamaged } from './damage.ts';
import type { Compression } from './key.ts';
import { decodeTail, tailBytes, type PartEntry } from './layout.ts';
import type { OpenedPart } from './part.ts';
import type { PartFacts } from './part-facts.ts';

/** A block that was listed and is no longer there: compacted or pruned meanwhile. */
export class BlockGone extends Error {
  readonly key: string;

  constructor(key: string) {
    super(`${key} is no longer there`);
    this.name = 'BlockGone';
    this.key = key;
  }
}

/** Up to this size a block is read with one request, above it from the end: footer first, then the parts that are wanted. */
const wholeBytesMax = 4 * 1024 * 1024;
/** Parts that follow one another are read together up to this size. */
const readBytesMax = 4 * 1024 * 1024;
/** Reads, and parts being opened, ahead of the one that is used. */
const ahead = 2;

/** Messages that a damaged block or part may have held. */
type Lost = { firstSequence: number; lastSequence: number };

/** Told of damage. What it throws ends the reading; where it returns, the part (or the block) is passed over. */
export type OnDamage = (error: ArchiveDamaged, lost: Lost) => void;

/**
 * The parts of a stored block that may hold what is wanted, opened, in order; every byte that they are made from has passed a checksum.
 * Throws BlockGone, and what `onDamage` throws.
 */
export async function* readParts(
  store: ObjectStore,
  block: FoundBlock,
  compression: Compression,
  isWanted: (part: PartFacts) => boolean,
  onDamage: OnDamage,
  signal?: AbortSignal,
): AsyncGenerator<OpenedPart> {
  const stored = new StoredBytes(store, block, signal);
  const parts = block.name.format === 'n3b' ? partsOf(block, stored, compression, isWanted) : linesOf(block, stored);
  for (;;) {
    let next: IteratorResult<OpenedPart | Damaged>;
    try {
      next = await parts.next();
    } catch (error) {
      if (error instanceof BlockGone || signal?.aborted === true) throw error;
      next = { value: { error: asDamage(damageOf(block.key, error)), lost: block.name } };
    }
    if (next.done === true) return;
    if ('error' in next.value) onDamage(next.value.error, next.value.lost);
    else yield next.value;
  }
}

type Damaged = { error: ArchiveDamaged; lost: Lost };

async function* linesOf(block: FoundBlock, stored: StoredBytes): AsyncGenerator<OpenedPart> {
  yield* (await readTwice(async () => openBlock(block.key, await stored.fresh().range(0, block.bytes)))).parts();
}

async function* partsOf(
  block: FoundBlock,
  stored: StoredBytes,
  compression: Compression,
  isWanted: (part: PartFacts) => boolean,
): AsyncGenerator<OpenedPart | Damaged> {
  const entries = await readTwice(() => readEntries(block, stored.fresh()));
  const wanted = entries.map((entry, number) => ({ entry, number })).filter(({ entry }) => isWanted(entry));
  const reads = workAhead(together(wanted), ahead, async (group) => ({
    group,
    bytes: await stored.range(group[0]!.entry.offset, endOf(group)),
  }));
  yield* workAhead(apart(reads), ahead, (part) => {
    const { number, entry } = part;
    let coming: Promise<Buffer> | undefined = Promise.resolve(part.bytes);
    return readTwice(async () => {
      const bytes = await (coming ?? stored.fresh().range(entry.offset, endOf([part])));
      coming = undefined;
      return openPart(block.key, number, entry, compression, bytes);
    }).catch((error: unknown) => ({ error: asDamage(error), lost: entry }));
  });
}

/** The bytes of a stored block. A small one is read as a whole, and kept. */
class StoredBytes {
  readonly #store: ObjectStore;
  readonly #block: FoundBlock;
  readonly #signal: AbortSignal | undefined;
  #whole: Promise<Buffer | undefined> | undefined;

  constructor(store: ObjectStore, block: FoundBlock, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#block = block;
    this.#signal = signal;
  }

  /** `to` left out; fewer bytes where the block ends before. Throws BlockGone. */
  async range(from: number, to: number): Promise<Buffer> {
    const { key, bytes, name } = this.#block;
    const inRanges = bytes > wholeBytesMax && name.format === 'n3b';
    const read = inRanges
      ? await this.#store.get(key, { from, to: to - 1 }, this.#signal)
      : await (this.#whole ??= this.#store.get(key, undefined, this.#signal));
    if (read === undefined) throw new BlockGone(key);
    return inRanges ? read : read.subarray(from, to);
  }

  /** Forgets what was read: it may be wrong. */
  fresh(): this {
    this.#whole = undefined;
    return this;
  }
}

async function readEntries({ bytes }: FoundBlock, stored: StoredBytes): Promise<PartEntry[]> {
  let size = Math.min(tailBytes, bytes);
  for (;;) {
    const tail = decodeTail(await stored.range(bytes - size, bytes), bytes);
    if ('parts' in tail) return tail.parts;
    size = tail.bytesNeeded;
  }
}

type Numbered = { entry: PartEntry; number: number };

/** Neighbours in groups that are read at once. */
function together(parts: readonly Numbered[]): Numbered[][] {
  const groups: Numbered[][] = [];
  for (const part of parts) {
    const group = groups.at(-1);
    const joins = group !== undefined && endOf(group) === part.entry.offset;
    if (joins && part.entry.offset + part.entry.bytes - group[0]!.entry.offset <= readBytesMax) group.push(part);
    else groups.push([part]);
  }
  return groups;
}

function endOf(group: readonly Numbered[]): number {
  const { offset, bytes } = group.at(-1)!.entry;
  return offset + bytes;
}

async function* apart(reads: AsyncIterable<{ group: Numbered[]; bytes: Buffer }>): AsyncGenerator<Numbered & { bytes: Buffer }> {
  for await (const { group, bytes } of reads) {
    const start = group[0]!.entry.offset;
    for (const part of group) {
      const from = part.entry.offset - start;
      yield { ...part, bytes: bytes.subarray(from, from + part.entry.bytes) };
    }
  }
}
