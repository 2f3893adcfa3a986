import type { ChangeEvent } from '../core/event.ts';

const lineFeed = 0x0a;
const firstBufferBytes = 256 * 1024;

export type EncodedBulk = {
  /** Valid until the encoder is used again. */
  body: Buffer;
  /** The first event that is not in it. */
  to: number;
};

/**
 * Writes `_bulk` bodies into one buffer that grows and is used again. Every action carries the event's version as an external one, so
 * that an older change never overwrites a newer one (DESIGN: versions make redelivery harmless). Documents are copied as they are.
 */
export class BulkEncoder {
  #buffer = Buffer.allocUnsafeSlow(firstBufferBytes);
  #length = 0;
  readonly #indexNames = new Map<string, string>();

  /** Takes events from `from` up to `to` while the body stays within `bytesMax`, and one in any case. Each has a document or is a delete. */
  encode(
    events: readonly ChangeEvent[],
    from: number,
    to: number,
    bytesMax: number,
    indexOf: (index: string) => string,
  ): EncodedBulk {
    this.#length = 0;
    let next = from;
    while (next < to) {
      const before = this.#length;
      this.#append(events[next]!, indexOf);
      if (this.#length > bytesMax && next > from) {
        this.#length = before;
        break;
      }
      next++;
    }
    return { body: this.#buffer.subarray(0, this.#length), to: next };
  }

  #append(event: ChangeEvent, indexOf: (index: string) => string): void {
    const { source } = event;
    const removes = event.op === 'delete';
    const routing = event.routing === undefined ? '' : `,"routing":${JSON.stringify(event.routing)}`;
    const index = this.#indexName(indexOf(event.index));
    const action = `{"${removes ? 'delete' : 'index'}":{"_index":${index},"_id":${JSON.stringify(event.id)}`;
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
