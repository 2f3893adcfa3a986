import { ChangeBlock, type ChangeList } from '../core/change-block.ts';
import { idSpan, numbersEach, routingSpan, sourceSpan, spansEach, versionNumber } from '../core/document-spans.ts';
import type { ChangeEvent, DocumentOperation } from '../core/event.ts';
import { copyBytes, writeBytes, writeInteger } from '../core/json-write.ts';

const lineFeed = 0x0a;
const firstBufferBytes = 256 * 1024;

export type EncodedBulk = {
  /** Valid until the encoder is used again. */
  body: Buffer;
  /** The first change that is not in it. */
  to: number;
};

type IndexOf = (index: string) => string;

/**
 * Writes `_bulk` bodies into one buffer that grows and is used again. Every action carries the change's version as an external one, so
 * that an older change never overwrites a newer one (DESIGN: versions make redelivery harmless). Documents are copied as they are.
 */
export class BulkEncoder {
  #buffer = Buffer.allocUnsafeSlow(firstBufferBytes);
  #length = 0;
  readonly #indexNames = new Map<string, string>();

  /**
   * Takes changes, counted through all lists, from `from` up to `to` while the body stays within `bytesMax`, and one in any case. Each has a
   * document or is a delete.
   */
  encode(lists: readonly ChangeList[], from: number, to: number, bytesMax: number, indexOf: IndexOf): EncodedBulk {
    this.#length = 0;
    let next = from;
    let first = 0;
    for (const list of lists) {
      const end = Math.min(first + list.length, to);
      const append = next < end ? this.#appender(list, indexOf) : undefined;
      for (; next < end; next++) {
        const before = this.#length;
        append?.(next - first);
        if (this.#length <= bytesMax || next === from) continue;
        this.#length = before;
        return { body: this.#buffer.subarray(0, before), to: next };
      }
      first += list.length;
    }
    return { body: this.#buffer.subarray(0, this.#length), to: next };
  }

  /** Appends the change at a place of the list. */
  #appender(list: ChangeList, indexOf: IndexOf): (place: number) => void {
    if (!(list instanceof ChangeBlock)) return (place) => this.#appendEvent(list.at(place)!, indexOf);
    const head = Buffer.from(actionHead(list.common.op, this.#indexName(indexOf(list.common.index))));
    return (place) => this.#appendRow(list, list.from + place, head);
  }

  #appendRow({ documents }: ChangeBlock, row: number, head: Uint8Array): void {
    const { bytes, spans, numbers } = documents;
    const span = row * spansEach;
    const idStart = spans[span + idSpan]!;
    const idEnd = spans[span + idSpan + 1]!;
    const routingStart = spans[span + routingSpan]!;
    const routingEnd = spans[span + routingSpan + 1]!;
    const sourceStart = spans[span + sourceSpan]!;
    const sourceEnd = spans[span + sourceSpan + 1]!;
    this.#reserve(head.length + (idEnd - idStart) + (routingEnd - routingStart) + (sourceEnd - sourceStart) + actionBytesMax);
    const buffer = this.#buffer;
    let at = copyBytes(buffer, writeBytes(buffer, this.#length, head), bytes, idStart, idEnd);
    at = writeInteger(buffer, writeBytes(buffer, at, beforeVersion), numbers[row * numbersEach + versionNumber]!);
    at = writeBytes(buffer, at, versionType);
    if (routingEnd !== 0) at = copyBytes(buffer, writeBytes(buffer, at, beforeRouting), bytes, routingStart, routingEnd);
    at = writeBytes(buffer, at, actionEnd);
    if (sourceEnd !== 0) {
      // On one line: a block is made of lines.
      at = copyBytes(buffer, at, bytes, sourceStart, sourceEnd);
      buffer[at++] = lineFeed;
    }
    this.#length = at;
  }

  #appendEvent(event: ChangeEvent, indexOf: IndexOf): void {
    const { source } = event;
    const removes = event.op === 'delete';
    const routing = event.routing === undefined ? '' : `,"routing":${JSON.stringify(event.routing)}`;
    const action = `${actionHead(event.op, this.#indexName(indexOf(event.index)))}${JSON.stringify(event.id)}`;
    const line = `${action},"version":${event.version},"version_type":"external"${routing}}}\n`;
    this.#reserve(line.length * 3 + (source?.length ?? 0) + 1);
    this.#length += this.#buffer.write(line, this.#length);
    if (removes || source === undefined) return;
    this.#buffer.set(source, this.#length);
    if (source.includes(lineFeed)) this.#oneLine(this.#length, this.#length + source.length);
    this.#length += source.length;
    this.#buffer[this.#length++] = lineFeed;
  }

  #indexName(name: string): string {
    let text = this.#indexNames.get(name);
    if (text === undefined) {
      if (this.#indexNames.size >= indexNamesMax) this.#indexNames.clear();
      text = JSON.stringify(name);
      this.#indexNames.set(name, text);
    }
    return text;
  }

  /** A raw line end would end the action; in a document it can be white space only. A foreign publisher's frame may hold one. */
  #oneLine(start: number, end: number): void {
    for (let at = start; at < end; at++) if (this.#buffer[at] === lineFeed) this.#buffer[at] = 0x20;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
const indexNamesMax = 10_000;

/** `index` is JSON. */
function actionHead(op: DocumentOperation, index: string): string {
  return `{"${op === 'delete' ? 'delete' : 'index'}":{"_index":${index},"_id":`;
}
const beforeVersion = Buffer.from(',"version":');
const versionType = Buffer.from(',"version_type":"external"');
const beforeRouting = Buffer.from(',"routing":');
const actionEnd = Buffer.from('}}\n');
/** More than the fixed texts and the version take. */
const actionBytesMax = 128;
