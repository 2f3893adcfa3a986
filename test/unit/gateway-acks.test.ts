import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Delivery } from '../../src/core/strategy.ts';
import { OrderedAcks } from '../../src/nats-gateway/ordered-acks.ts';

function stage(count: number): { log: string[]; deliveries: Delivery[] } {
  const log: string[] = [];
  const acks = new OrderedAcks();
  const deliveries = Array.from({ length: count }, (_, n) =>
    acks.wrap({
      message: { subject: 's', headers: new Map(), payload: Buffer.alloc(0), sequence: n, timestamp: 0, deliveries: 1 },
      ack: async () => void log.push(`ack ${n}`),
      retryLater: () => void log.push(`back ${n}`),
      working: () => {},
    }),
  );
  return { log, deliveries };
}

test('acknowledgements leave in the order of delivery, whatever the order in which they were due', async () => {
  const { log, deliveries } = stage(5);
  await Promise.all([3, 1, 4, 0, 2].map((n) => deliveries[n]!.ack()));
  assert.deepEqual(log, ['ack 0', 'ack 1', 'ack 2', 'ack 3', 'ack 4']);
});

test('nothing after a message that was given back is acknowledged', async () => {
  const { log, deliveries } = stage(4);
  const late = assert.rejects(deliveries[2]!.ack(), { code: 'ACK_LOST', transient: true });
  await deliveries[0]!.ack();
  deliveries[1]!.retryLater(0);
  await late;
  await assert.rejects(deliveries[3]!.ack(), { code: 'ACK_LOST' });
  assert.deepEqual(log, ['ack 0', 'back 1', 'back 2', 'back 3']);
});
