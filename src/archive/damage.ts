import { GatewayError } from '../core/errors.ts';

/** Where in a block. Parts are counted from 0; the offset is that of the part, or of what else is wrong. */
export type DamagedPlace = { part?: number; offset?: number };

/** What is wrong with the bytes of a block; becomes an error once the block's key is known. */
export class BlockDamage extends Error {
  readonly place: DamagedPlace;

  constructor(what: string, place: DamagedPlace = {}) {
    super(what);
    this.name = 'BlockDamage';
    this.place = place;
  }
}

/** A block that cannot be read, or cannot be believed. */
export class ArchiveDamaged extends GatewayError {
  readonly key: string;
  readonly part: number | undefined;
  readonly offset: number | undefined;

  constructor(key: string, what: string, { part, offset }: DamagedPlace, cause?: unknown) {
    const where = [...(part === undefined ? [] : [`part ${part}`]), ...(offset === undefined ? [] : [`offset ${offset}`])];
    super('ARCHIVE_DAMAGED', `${key} is damaged${where.length === 0 ? '' : ` (${where.join(', ')})`}: ${what}`, {
      hint: 'restore the object from a copy, or go on without what it holds (--skip-damaged)',
      cause,
    });
    this.name = 'ArchiveDamaged';
    this.key = key;
    this.part = part;
    this.offset = offset;
  }
}

/** The error for whatever was thrown while the block of that key was read: all but the product's own errors means damage. */
export function damageOf(key: string, error: unknown, place: DamagedPlace = {}): GatewayError {
  if (error instanceof GatewayError) return error;
  if (error instanceof BlockDamage) return new ArchiveDamaged(key, error.message, { ...place, ...error.place });
  return new ArchiveDamaged(key, error instanceof Error ? error.message : String(error), place, error);
}

/**
 * Damage may have come about on the way here: only what is found twice is believed. `read` reads again each time.
 */
export async function readTwice<Read>(read: () => Promise<Read>): Promise<Read> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ArchiveDamaged || error instanceof BlockDamage) return read();
    throw error;
  }
}

/** Damage as such; whatever else it is goes on. */
export function asDamage(error: unknown): ArchiveDamaged {
  if (error instanceof ArchiveDamaged) return error;
  throw error;
}
