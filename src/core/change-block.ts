import { type DocumentSpans, primaryTermNumber, seqNoNumber, tsNumber, versionNumber } from './document-spans.ts';
import type { ChangeEvent, DocumentOperation } from './event.ts';

/** Changes in their order: an array of them, or a block. */
export type ChangeList = Iterable<ChangeEvent> & {
  readonly length: number;
  at(place: number): ChangeEvent | undefined;
  slice(from: number, to?: number): ChangeList;
};

/** What all changes of a block have in common. */
export type Common = { tenant: string; index: string; op: DocumentOperation };

/** Changes of one tenant, index and operation, whose texts lie in one buffer; each becomes a `ChangeEvent` only when it is asked for. */
export class ChangeBlock implements ChangeList {
  readonly common: Common;
  /** The `version` is the external one for the target (core/version.ts). */
  readonly documents: DocumentSpans;
  /** The first of its rows. */
  readonly from: number;
  readonly length: number;

  constructor(common: Common, documents: DocumentSpans, from = 0, to = documents.length) {
    this.common = common;
    this.documents = documents;
    this.from = from;
    this.length = to - from;
  }

  at(place: number): ChangeEvent | undefined {
    if (place < 0 || place >= this.length) return undefined;
    const { documents } = this;
    const { tenant, index, op } = this.common;
    const row = this.from + place;
    const event: ChangeEvent = {
      tenant,
      index,
      id: documents.id(row),
      op,
      version: documents.number(row, versionNumber),
      seqNo: documents.number(row, seqNoNumber),
      primaryTerm: documents.number(row, primaryTermNumber),
      ts: documents.number(row, tsNumber),
    };
    const routing = documents.routing(row);
    if (routing !== undefined) event.routing = routing;
    const source = documents.source(row);
    if (source !== undefined) event.source = source;
    return event;
  }

  slice(from: number, to = this.length): ChangeBlock {
    return new ChangeBlock(this.common, this.documents, this.from + from, this.from + Math.min(to, this.length));
  }

  /** Bytes of its documents together. */
  get sourceBytes(): number {
    return this.documents.sourceBytesOf(this.from, this.from + this.length);
  }

  *[Symbol.iterator](): Generator<ChangeEvent, void> {
    for (let place = 0; place < this.length; place++) yield this.at(place)!;
  }
}
