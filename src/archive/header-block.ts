import { isUtf8 } from 'node:buffer';

/** One header line, in its place: names keep their case and may repeat. */
export type HeaderLine = readonly [name: string, value: string];

const firstLine = 'NATS/1.0';

/** The lines of a header block (ADR-4). A status in the first line is left out: messages of a stream have none. */
export function decodeHeaders(block: Uint8Array): HeaderLine[] {
  const lines = Buffer.from(block.buffer, block.byteOffset, block.length).toString().split('\r\n').slice(1);
  return lines
    .filter((line) => line !== '')
    .map((line): HeaderLine => {
      const colon = line.indexOf(':');
      if (colon < 0) return [line, ''];
      const value = line.slice(colon + 1);
      return [line.slice(0, colon), value.startsWith(' ') ? value.slice(1) : value];
    });
}

/** As clients write it; empty for no lines. */
export function encodeHeaders(lines: readonly HeaderLine[]): Buffer {
  if (lines.length === 0) return Buffer.alloc(0);
  return Buffer.from(`${firstLine}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
}

/** Values by name. Undefined where a block cannot be written back from that byte for byte. */
export function headersByName(block: Uint8Array): Record<string, string[]> | undefined {
  const byName = new Map<string, string[]>();
  for (const [name, value] of decodeHeaders(block)) {
    const values = byName.get(name);
    if (values === undefined) byName.set(name, [value]);
    else values.push(value);
  }
  const headers = Object.fromEntries(byName);
  return isUtf8(block) && headersFromNames(headers).equals(block) ? headers : undefined;
}

export function headersFromNames(headers: Readonly<Record<string, readonly string[]>>): Buffer {
  return encodeHeaders(Object.entries(headers).flatMap(([name, values]) => values.map((value): HeaderLine => [name, value])));
}
