import { GatewayError } from '../core/errors.ts';

/** What is wrong with the bytes of a block, and where; made into an error once the block's key is known. */
export class BlockDamage extends Error {
  readonly place: { part?: number; offset?: number };

  constructor(what: string, place: { part?: number; offset?: number } = {}) {
    super(what);
    this.name = 'BlockDamage';
    this.place = place;
  }
}

/** Names the block, and where in it. */
export class ArchiveDamaged extends GatewayError {
  readonly key: string;
  readonly part: number | undefined;
  readonly offset: number | undefined;

  constructor(key: string, what: string, place: { part?: number; offset?: number } = {}, cause?: unknown) {
    const where = [
      ...(place.part === undefined ? [] : [`part ${place.part}`]),
      ...(place.offset === undefined ? [] : [`offset ${place.offset}`]),
    ];
    super('ARCHIVE_DAMAGED', `${key} is damaged${where.length === 0 ? '' : ` (${where.join(', ')})`}: ${what}`, {
      hint: 'restore the object from a copy, or go on without what it holds (--skip-damaged)',
      cause,
    });
    this.name = 'ArchiveDamaged';
    this.key = key;
    this.part = place.part;
    this.offset = place.offset;
  }
}
