import { envelopeVersion } from './envelope-text.ts';
import { GatewayError } from './errors.ts';
import type { IndexDrop } from './event.ts';

/** The end of an index as the one JSON line of a message on `es.{tenant}.{index}.drop` (docs/envelope.md). */
export function encodeDrop(drop: IndexDrop): Buffer {
  const { tenant, index, version, ts } = drop;
  return Buffer.from(`${JSON.stringify({ v: envelopeVersion, tenant, index, op: 'drop', version, ts })}\n`);
}

/** Throws ENVELOPE_NEWER for a version that this program does not know, ENVELOPE_FOREIGN for what is not such a line. */
export function decodeDrop(payload: Uint8Array): IndexDrop {
  const { v, tenant, index, op, version, ts } = parse(payload);
  if (typeof v === 'number' && v > envelopeVersion) {
    throw new GatewayError('ENVELOPE_NEWER', `a drop has version ${v}; this program reads up to ${envelopeVersion}`, {
      hint: 'upgrade the reader first, then the watcher',
    });
  }
  if (v !== envelopeVersion || op !== 'drop') throw foreign();
  if (typeof tenant !== 'string' || typeof index !== 'string' || tenant === '' || index === '') throw foreign();
  if (!Number.isSafeInteger(version)) throw foreign();
  return { tenant, index, version: version as number, ts: Number.isSafeInteger(ts) ? (ts as number) : 0 };
}

function parse(payload: Uint8Array): Record<string, unknown> {
  try {
    return (JSON.parse(Buffer.from(payload).toString()) ?? {}) as Record<string, unknown>;
  } catch {
    throw foreign();
  }
}

function foreign(): GatewayError {
  return new GatewayError('ENVELOPE_FOREIGN', 'a message on a drop subject does not say that an index is gone', {
    hint: 'keep other publishers off the change stream, or narrow --filter-subjects',
  });
}
