import { GatewayError } from '../core/errors.ts';

const pattern = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/i;
const nanosPerMs = 1_000_000n;

/** Nanoseconds since 1970 of an RFC 3339 time, as servers and people write it. Throws TIME_INVALID. */
export function parseTime(text: string): bigint {
  const match = pattern.exec(text.trim());
  const ms = match === null ? Number.NaN : Date.parse(`${match[1]}${match[3]}`);
  if (Number.isNaN(ms)) {
    throw new GatewayError('TIME_INVALID', `${JSON.stringify(text)} is no time`, {
      hint: 'write it like 2025-11-21T10:00:00Z or 2025-11-21T11:00:00.123456789+01:00',
    });
  }
  return BigInt(ms) * nanosPerMs + BigInt((match![2] ?? '').padEnd(9, '0'));
}

/** RFC 3339 in UTC with nine digits: such texts sort by time. */
export function formatTime(nanos: bigint): string {
  const { timestamp, nanos: rest } = splitTime(nanos);
  return `${new Date(timestamp).toISOString().slice(0, -1)}${String(rest).padStart(6, '0')}Z`;
}

/** The whole ms, and the ns within that ms. */
export function splitTime(nanos: bigint): { timestamp: number; nanos: number } {
  const rest = ((nanos % nanosPerMs) + nanosPerMs) % nanosPerMs;
  return { timestamp: Number((nanos - rest) / nanosPerMs), nanos: Number(rest) };
}

export function joinTime(timestamp: number, nanos: number): bigint {
  return BigInt(timestamp) * nanosPerMs + BigInt(nanos);
}
