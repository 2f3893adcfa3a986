import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { encodeEnvelope, readChanges } from '../../src/core/envelope.ts';
import { GatewayError } from '../../src/core/errors.ts';
import type { ChangeEvent } from '../../src/core/event.ts';
import { encodingHeader, type Frame, type FrameLimits, openFrame, packFrames, sealFrame } from '../../src/core/frame.ts';
import type { Message } from '../../src/core/strategy.ts';
import { anyEvent, legible } from '../support/arbitrary-events.ts';

const limits: FrameLimits = { documentsMax: 1000, bytesMax: 1_000_000, compressFromBytes: 0, compressLevel: 1 };

function messageOf({ payload, encoding }: Pick<Frame, 'payload' | 'encoding'>): Message {
  const headers = new Map(encoding === undefined ? [] : [[encodingHeader, encoding]]);
  return { subject: 'es.acme.products.index', headers, payload, sequence: 1, timestamp: 0, deliveries: 1 };
}

/** Frames are of one tenant and index. */
const frameEvents = fc
  .array(anyEvent, { minLength: 1, maxLength: 30 })
  .map((events) => events.map((event) => ({ ...event, tenant: events[0]!.tenant, index: events[0]!.index })));

function change(id: string, source?: Uint8Array): ChangeEvent {
  const common = { tenant: 'acme', index: 'products', id, version: 1, seqNo: 0, primaryTerm: 1, ts: 0 };
  return source === undefined ? { ...common, op: 'delete' } : { ...common, op: 'index', source };
}

test('frames hold every event in order, within both limits, and each is exactly its envelopes', () => {
  fc.assert(
    fc.property(
      frameEvents,
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 3000 }),
      (events, documentsMax, bytesMax) => {
        const frames = [...packFrames(events, { ...limits, documentsMax, bytesMax })];
        const envelopes = events.map(encodeEnvelope);
        assert.deepEqual(Buffer.concat(frames.map((f) => f.payload)), Buffer.concat(envelopes));
        let at = 0;
        for (const frame of frames) {
          assert.equal(frame.bytes, frame.payload.length);
          assert.ok(frame.documents <= documentsMax);
          assert.ok(frame.bytes <= bytesMax || frame.documents === 1);
          assert.equal(frame.firstSeqNo, events[at]!.seqNo);
          at += frame.documents;
          assert.equal(frame.lastSeqNo, events[at - 1]!.seqNo);
          const next = envelopes[at];
          if (next !== undefined)
            assert.ok(frame.documents === documentsMax || frame.bytes + next.length > bytesMax, 'cut too soon');
        }
      },
    ),
  );
});

test('what was read as blocks is packed to the same bytes', () => {
  fc.assert(
    fc.property(anyEvent, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 10 }), (event, length, documentsMax) => {
      const events = Array.from({ length }, (_, version) => ({ ...event, version }));
      const bytes = Buffer.concat(events.map(encodeEnvelope));
      const lists = readChanges(bytes);
      const frames = lists.flatMap((list) => [...packFrames(list, { ...limits, documentsMax })]);
      assert.deepEqual(Buffer.concat(frames.map((frame) => frame.payload)).toString(), bytes.toString());
      const whole = lists[0]!;
      const middle = whole.slice(1, whole.length - 1);
      assert.deepEqual([...middle].map(legible), [...whole].slice(1, -1).map(legible));
      assert.equal(whole.at(whole.length), undefined);
    }),
  );
});

test('no event makes no frame', () => {
  assert.deepEqual([...packFrames([], limits)], []);
});

test('ids of control characters, of three-byte characters and of surrogates fit', async () => {
  const ids = ['\u0001'.repeat(512), '\uffff'.repeat(170), '🙂'.repeat(128), '\ud800'.repeat(170), '"\\'.repeat(256)];
  for (const id of ids) {
    const events = Array.from({ length: 50 }, () => ({ ...change(id, Buffer.from('{}')), routing: id }));
    const [frame] = packFrames(events, limits);
    const opened = await openFrame(messageOf(frame!));
    assert.deepEqual(opened.map(legible), events.map(legible));
  }
});

test('a sealed frame opens to the events it was packed from', async () => {
  await fc.assert(
    fc.asyncProperty(frameEvents, fc.constantFrom(0, 1, 500), async (events, compressFromBytes) => {
      const [frame] = packFrames(events, limits);
      const sealed = await sealFrame(frame!, { ...limits, compressFromBytes });
      assert.equal(sealed.encoding, compressFromBytes > 0 && frame!.bytes >= compressFromBytes ? 'zstd' : undefined);
      assert.deepEqual([sealed.documents, sealed.bytes], [frame!.documents, frame!.bytes]);
      assert.deepEqual((await openFrame(messageOf(sealed))).map(legible), events.map(legible));
    }),
  );
});

test('what cannot be opened is foreign, whatever its bytes', async () => {
  const whole = zstdCompressSync(encodeEnvelope(change('1')));
  const frames: [string, Uint8Array, string][] = [
    ['gzip', whole, 'FRAME_FOREIGN'],
    ['zstd', Buffer.from('not zstd'), 'FRAME_FOREIGN'],
    ['zstd', whole.subarray(0, whole.length - 5), 'FRAME_FOREIGN'],
    ['zstd', zstdCompressSync(Buffer.alloc(257 * 1024 * 1024)), 'FRAME_FOREIGN'],
    ['zstd', zstdCompressSync(Buffer.from('hello')), 'ENVELOPE_FOREIGN'],
    ['identity', Buffer.from('hello'), 'ENVELOPE_FOREIGN'],
  ];
  for (const [encoding, payload, code] of frames) {
    await assert.rejects(
      openFrame(messageOf({ encoding, payload })),
      (error) => error instanceof GatewayError && error.code === code,
    );
  }
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 100 }),
      fc.constantFrom(undefined, 'zstd', 'identity'),
      async (payload, encoding) => {
        await openFrame(messageOf({ payload, encoding })).catch((error: unknown) => assert.ok(error instanceof GatewayError));
      },
    ),
  );
});
