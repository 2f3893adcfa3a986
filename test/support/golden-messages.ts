import { encodeHeaders, type ArchiveMessage } from '../../src/archive/index.ts';

const timestamp = Date.UTC(2025, 10, 21, 9, 59, 59, 999);

function at(sequence: number, subject: string, payload: string | Uint8Array, more: Partial<ArchiveMessage> = {}): ArchiveMessage {
  return { sequence, subject, payload: Buffer.from(payload), headers: Buffer.alloc(0), timestamp, nanos: 0, ...more };
}

/** What the blocks of test/golden/archive hold. Never changed: new cases get new files. */
export const goldenMessages: readonly ArchiveMessage[] = [
  at(3, 'orders.new', '{"id":1,"price":1.0}', { nanos: 999_999 }),
  at(4, 'orders.new', '', { timestamp: timestamp + 1 }),
  at(
    5,
    'orders.paid',
    Uint8Array.from({ length: 256 }, (_, byte) => byte),
    { timestamp: timestamp + 1, nanos: 1 },
  ),
  at(6, 'orders.grüße.🙂', '\ufefftext with a mark, \u0000, \u2028 and "quotes"\r\n', {
    timestamp: timestamp - 5_000,
    nanos: 123_456,
  }),
  at(9, 'orders.new', 'headers', {
    headers: encodeHeaders([
      ['Nats-Msg-Id', 'a'],
      ['nats-msg-id', 'b'],
      ['Trace', 'x: y'],
      ['Trace', ''],
    ]),
  }),
  at(10, 'orders.new', 'an odd header block', { headers: Buffer.from('NATS/1.0\r\nB:1\r\nA:  2\r\nB: 3\r\n\r\n') }),
  at(11, 'orders.new', 'text '.repeat(500), { timestamp: timestamp + 86_400_000 * 40 }),
  ...Array.from({ length: 80 }, (_, i) =>
    at(12 + i, `devices.${i}.state`, `state ${i}`, { timestamp: timestamp + 86_400_000 * 40 + i, nanos: i }),
  ),
  at(2 ** 33, 'orders.late', 'far away', { timestamp: timestamp + 86_400_000 * 41 }),
  at(Number.MAX_SAFE_INTEGER, 'orders.last', 'the last one', { timestamp: timestamp + 86_400_000 * 42, nanos: 500_000 }),
];

export const goldenOrigin = { stream: 'ORDERS', streamCreated: '2025-11-20T08:00:00.123456789Z', job: 'job 1', after: 1 };
