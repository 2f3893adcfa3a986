import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Message } from '../../src/core/strategy.ts';
import {
  connectNats,
  ensureChangeStream,
  openSink,
  scanSubject,
  type NatsLink,
  type Scanned,
} from '../../src/jetstream/index.ts';
import { sharedNats } from '../support/servers.ts';

const stream = 'SCANNED';
let link: NatsLink;

before(async () => {
  link = await connectNats({ urls: [(await sharedNats()).url], name: 'test' });
});
after(() => link.close());
beforeEach(async () => {
  await link.manager.streams.delete(stream).catch(() => false);
  await ensureChangeStream(link, { name: stream, maxBytes: 100_000_000 });
});

/** Two of three messages are deletes: 2, 3, 5, 6, 8, 9 … */
async function publish(count: number, bytes = 8): Promise<void> {
  const sink = openSink(link, { stream });
  await Promise.all(
    Array.from({ length: count }, (_, at) =>
      sink.publish({
        subject: at % 3 === 0 ? 'es.a.b.index' : 'es.a.b.delete',
        payload: Buffer.alloc(bytes, 'x'),
        headers: new Map([['N', String(at + 1)]]),
      }),
    ),
  );
  await sink.close();
}

async function scan(afterSequence: number, subject = 'es.a.b.delete'): Promise<{ messages: Message[]; scanned: Scanned }> {
  const messages: Message[] = [];
  const scanned = await scanSubject(link, {
    stream,
    subject,
    afterSequence,
    onMessage: (message) => void messages.push(message),
  });
  return { messages, scanned };
}

function failing(): never {
  throw new RangeError('mine');
}

describe('scanning a subject', () => {
  it('reads exactly what lies above a sequence, in order, and ends', async () => {
    await publish(3_000);
    const { messages, scanned } = await scan(1_500);
    const expected = Array.from({ length: 1_500 }, (_, at) => at + 1_501).filter((sequence) => (sequence - 1) % 3 !== 0);
    assert.deepEqual(
      messages.map((message) => message.sequence),
      expected,
    );
    assert.deepEqual(scanned, { scanned: expected.length, lastSequence: 3_000 });
    assert.equal(messages[0]?.headers.get('N'), String(expected[0]));
    assert.equal(messages[0]?.subject, 'es.a.b.delete');
    assert.equal((await link.manager.streams.info(stream)).state.consumer_count, 0);
  });

  it('ends at once where there is nothing', async () => {
    assert.deepEqual((await scan(0)).scanned, { scanned: 0, lastSequence: 0 });
    await publish(10);
    assert.deepEqual((await scan(10)).scanned, { scanned: 0, lastSequence: 10 });
    assert.deepEqual((await scan(0, 'es.none.>')).scanned, { scanned: 0, lastSequence: 10 });
    assert.deepEqual((await scan(9)).scanned, { scanned: 0, lastSequence: 10 });
  });

  it('reads messages near the largest size', async () => {
    await publish(30, link.maxPayload - 1_000);
    assert.equal((await scan(0)).messages.length, 20);
  });

  it('ends although what it was to read is purged meanwhile', async () => {
    await publish(3_000);
    let seen = 0;
    const scanned = await scanSubject(link, {
      stream,
      subject: 'es.a.b.delete',
      afterSequence: 0,
      onMessage: async () => {
        if (++seen === 10) await link.manager.streams.purge(stream);
      },
    });
    assert.ok(scanned.scanned >= 10 && scanned.scanned < 2_000, `${scanned.scanned}`);
  });

  it('can be stopped, and passes on what its reader throws', async () => {
    await publish(100);
    const stop = new AbortController();
    const onMessage = (): void => stop.abort();
    const scanning = scanSubject(link, { stream, subject: 'es.>', afterSequence: 0, onMessage, signal: stop.signal });
    await assert.rejects(scanning, { code: 'SCAN_ABORTED' });
    await assert.rejects(scanSubject(link, { stream, subject: 'es.>', afterSequence: 0, onMessage: failing }), {
      name: 'RangeError',
    });
    await assert.rejects(scanSubject(link, { stream: 'NONE', subject: 'es.>', afterSequence: 0, onMessage }), {
      code: 'STREAM_MISSING',
    });
    assert.equal((await link.manager.streams.info(stream)).state.consumer_count, 0);
  });
});
