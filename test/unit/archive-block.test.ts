import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { ArchiveDamaged, BlockWriter, timeOf, type ArchiveMessage, type Compression } from '../../src/archive/index.ts';
import { anyMessages, legibleMessage } from '../support/arbitrary-messages.ts';
import { keyOf, message, messagesIn, origin, sealed } from '../support/blocks.ts';
import { openBlock } from '../../src/archive/index.ts';
import { covers } from '../../src/core/subject.ts';

const compressions: readonly Compression[] = ['zstd', 'gzip', 'none'];

describe('a block', () => {
  test('gives back every message as it was, in both formats, whatever the size of its parts', async () => {
    const sizes = fc.constantFrom(1, 300, 4_000, 1_000_000);
    const format = fc.constantFrom('n3b' as const, 'ndjson' as const);
    await fc.assert(
      fc.asyncProperty(
        anyMessages,
        format,
        fc.constantFrom(...compressions),
        sizes,
        async (messages, format, compression, partBytes) => {
          const block = await sealed(messages, { format, compression, partBytes });
          const found = await messagesIn(keyOf(block), block.body);
          assert.deepEqual(found.map(legibleMessage), messages.map(legibleMessage));
        },
      ),
    );
  });

  test('says in its header what it holds', async () => {
    await fc.assert(
      fc.asyncProperty(anyMessages, fc.option(fc.nat(), { nil: undefined }), async (messages, after) => {
        const block = await sealed(messages, { after, partBytes: 500 });
        const { header } = await openBlock(keyOf(block), block.body);
        const { format: _, body: __, digest: ___, firstTimestamp: ____, ...sealedHeader } = block;
        assert.deepEqual(header, sealedHeader);
        const times = messages.map(timeOf).sort((a, b) => (a < b ? -1 : 1));
        assert.deepEqual(
          [header.messages, header.firstSequence, header.lastSequence, header.firstTime, header.lastTime, header.after],
          [messages.length, messages[0]!.sequence, messages.at(-1)!.sequence, times[0], times.at(-1), after],
        );
        assert.equal(
          header.bytes,
          messages.reduce((sum, one) => sum + one.headers.length + one.payload.length, 0),
        );
        for (const { subject } of messages)
          assert.ok(
            header.subjects.some((pattern) => covers(pattern, subject)),
            subject,
          );
      }),
    );
  });

  test('holds messages of many megabytes, and empty ones', async () => {
    const large = Buffer.alloc(9 * 1024 * 1024, 'large ');
    const messages = [message(1), { ...message(2), payload: large, headers: Buffer.alloc(70_000, 'h') }, message(3, 'a', '')];
    for (const compression of compressions) {
      const block = await sealed(messages, { compression });
      const found = await messagesIn(keyOf(block), block.body);
      assert.deepEqual(found.map(legibleMessage), messages.map(legibleMessage));
    }
  });

  test('is the same for the same messages', async () => {
    const messages = Array.from({ length: 500 }, (_, at) => message(at + 1));
    const [one, two] = [await sealed(messages), await sealed(messages)];
    assert.ok(one.body.equals(two.body));
  });

  test('takes no message twice, none out of order, and is never empty', async () => {
    const writer = new BlockWriter(origin);
    await writer.add(message(5));
    assert.throws(() => writer.add(message(5)), RangeError);
    assert.throws(() => writer.add(message(4)), RangeError);
    await assert.rejects(new BlockWriter(origin).seal(), RangeError);
    await writer.seal();
    assert.throws(() => writer.add(message(6)), RangeError);
    await assert.rejects(writer.seal(), RangeError);
  });
});

describe('damage to a block', () => {
  const messages: ArchiveMessage[] = [
    message(7),
    { ...message(8, 'orders.paid'), headers: Buffer.from('NATS/1.0\r\nA: 1\r\n\r\n') },
    message(9, 'orders.new', 'text '.repeat(20)),
  ];

  for (const compression of compressions) {
    test(`any wrong bit is found (${compression})`, async () => {
      const block = await sealed(messages, { compression, partBytes: 150 });
      const key = keyOf(block);
      for (let bit = 0; bit < block.body.length * 8; bit++) {
        const body = Buffer.from(block.body);
        body[bit >> 3]! ^= 1 << (bit & 7);
        await assert.rejects(
          messagesIn(key, body),
          (error) => error instanceof ArchiveDamaged && error.key === key,
          `bit ${bit}`,
        );
      }
    });

    test(`any truncation is found (${compression})`, async () => {
      const block = await sealed(messages, { compression, partBytes: 150 });
      for (let bytes = 0; bytes < block.body.length; bytes++) {
        await assert.rejects(
          messagesIn(keyOf(block), block.body.subarray(0, bytes)),
          { code: 'ARCHIVE_DAMAGED' },
          `${bytes} bytes`,
        );
      }
    });
  }

  for (const compression of ['zstd', 'gzip'] as const) {
    test(`in ndjson, a wrong bit is found or harmless, and any truncation is found (${compression})`, async () => {
      const block = await sealed(messages, { format: 'ndjson', compression, partBytes: 150 });
      const key = keyOf(block);
      const whole = messages.map(legibleMessage);
      for (let bit = 0; bit < block.body.length * 8; bit += 7) {
        const body = Buffer.from(block.body);
        body[bit >> 3]! ^= 1 << (bit & 7);
        const found = await messagesIn(key, body).catch((error: unknown) => error);
        if (Array.isArray(found)) assert.deepEqual(found.map(legibleMessage), whole, `bit ${bit}`);
        else assert.ok(found instanceof ArchiveDamaged, `bit ${bit}: ${String(found)}`);
      }
      for (let bytes = 0; bytes < block.body.length; bytes++) {
        await assert.rejects(messagesIn(key, block.body.subarray(0, bytes)), { code: 'ARCHIVE_DAMAGED' }, `${bytes} bytes`);
      }
    });
  }
});
