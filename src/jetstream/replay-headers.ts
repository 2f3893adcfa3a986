/** Headers of a message that is published again: where it comes from. */
export const replayHeader = {
  /** Sequence, time (RFC 3339 with ns) and subject that the original had. */
  sequence: 'Nats3-Sequence',
  time: 'Nats3-Time',
  subject: 'Nats3-Subject',
} as const;

/**
 * What the server itself acts upon: it stood for the moment at which the original was published. Of a message's own headers, those that begin
 * like these are not published again; they remain in the archive.
 */
const directives = [
  'Nats-Msg-Id',
  'Nats-Expected-',
  'Nats-Rollup',
  'Nats-TTL',
  'Nats-Schedule',
  'Nats-Batch-',
  'Nats-Incr',
  'Nats-Required-Api-Level',
  'Nats3-',
];

const lineEnd = Buffer.from('\r\n');
const mark = Buffer.from('Nats');

/** The lines of a header block that may be published again, each with its line end; all of them where none is the server's. */
export function replayableLines(block: Uint8Array): Buffer {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  const from = bytes.indexOf(lineEnd) + lineEnd.length;
  if (from < lineEnd.length) return Buffer.alloc(0);
  const lines = bytes.subarray(from, bytes.length - lineEnd.length);
  if (!lines.includes(mark)) return lines;
  const kept: Buffer[] = [];
  for (let at = 0; at < lines.length;) {
    const found = lines.indexOf(lineEnd, at);
    const end = found < 0 ? lines.length : found + lineEnd.length;
    const line = lines.subarray(at, end);
    const name = line.toString('latin1', 0, Math.min(line.length, 32));
    if (!directives.some((directive) => name.startsWith(directive))) kept.push(line);
    at = end;
  }
  return Buffer.concat(kept);
}
