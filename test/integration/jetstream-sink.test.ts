import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Server } from '../../scripts/servers.ts';
import {
  connectNats,
  ensureChangeStream,
  openSink,
  scanSubject,
  streamIdentity,
  type NatsLink,
} from '../../src/jetstream/index.ts';
import { Proxy } from '../support/proxy.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { freshNats } from '../support/servers.ts';
import { until } from '../support/until.ts';

const stream = 'SINK';
const subject = 'es.acme.items.index';
const within = { withinMs: 30_000, everyMs: 10 };

async function withServer(work: (link: NatsLink, server: Server) => Promise<void>, config = ''): Promise<void> {
  const server = await freshNats({ config });
  const link = await connectNats({ urls: [server.url], name: 'test' });
  try {
    await ensureChangeStream(link, { name: stream, maxBytes: 200_000_000 });
    await work(link, server);
  } finally {
    await link.close();
    await server.stop();
  }
}

async function textsOf(link: NatsLink): Promise<string[]> {
  const texts: string[] = [];
  const onMessage = (message: { payload: Uint8Array }): void => void texts.push(Buffer.from(message.payload).toString());
  await scanSubject(link, { stream, subject: '>', afterSequence: 0, onMessage });
  return texts;
}

function assertEachOnce(texts: readonly string[], count: number): void {
  assert.equal(texts.length, count);
  assert.equal(new Set(texts).size, count);
}

describe('sink of a stream', () => {
  it('loses nothing and stores nothing twice while the server is killed three times among 20,000 messages', async () => {
    await withServer(async (link, server) => {
      const count = 20_000;
      const sink = openSink(link, { stream, windowMessages: 500 });
      let stored = 0;
      const kills = (async () => {
        for (const after of [2_000, 8_000, 14_000]) {
          await until(`${after} stored`, () => stored > after, within);
          await server.restart();
        }
      })();
      for (let at = 0; at < count; at++) {
        if (at % 50 === 0) await sink.room();
        void sink.publish({ subject, payload: Buffer.from(`m${at}`), id: `id${at}` }).then(() => stored++);
      }
      await Promise.all([sink.close(), kills]);
      assert.equal(stored, count);
      assertEachOnce(await textsOf(link), count);
    });
  });

  it('survives cut, stalled and refused connections', async () => {
    await withServer(async (link, server) => {
      const proxy = await Proxy.to(server.url);
      const cut = await connectNats({ urls: [proxy.url('nats')], name: 'cut' });
      const count = 5_000;
      const sink = openSink(cut, { stream, windowMessages: 200, ackTimeoutMs: 500 });
      let stored = 0;
      const faults = (async () => {
        for (const after of [500, 1_500, 2_500, 3_500]) {
          await until(`${after} stored`, () => stored > after, within);
          proxy.cut();
        }
      })();
      for (let at = 0; at < count; at++) {
        if (at % 50 === 0) await sink.room();
        void sink.publish({ subject, payload: Buffer.from(`m${at}`), id: `id${at}` }).then(() => stored++);
      }
      await Promise.all([sink.close(), faults]);
      assertEachOnce(await textsOf(link), count);
      await cut.close();
      await proxy.close();
    });
  });

  it('keeps the order of publishing when the link fails again while it sends again', async () => {
    await withServer(async (link, server) => {
      const proxy = await Proxy.to(server.url);
      const cut = await connectNats({ urls: [proxy.url('nats')], name: 'cut' });
      const retries: string[] = [];
      const sink = openSink(cut, { stream, ackTimeoutMs: 1_000 }, { onRetry: (reason) => retries.push(reason) });
      const texts = Array.from({ length: 2_000 }, (_, at) => `m${at}`);
      let stored = 0;
      const random = new Random(seedOfRun('jetstream-sink'));
      proxy.apply('halfOpen', random);
      const all = texts.map((text) => sink.publish({ subject, payload: Buffer.from(text), id: text }).then(() => stored++));
      for (const enough of [20, 200]) {
        proxy.heal();
        await until(`${enough} stored`, () => stored >= enough, { withinMs: 30_000, everyMs: 1 });
        proxy.apply('halfOpen', random);
        const told = retries.length;
        await until('no answer', () => retries.slice(told).includes('no answer in time'), within);
      }
      proxy.heal();
      await Promise.all(all);
      await cut.close();
      await proxy.close();
      assert.deepEqual(await textsOf(link), texts);
    });
  });

  it('publishes again under the same id when no answer comes in time', async () => {
    await withServer(async (link, server) => {
      const retries: string[] = [];
      const sink = openSink(link, { stream, ackTimeoutMs: 300 }, { onRetry: (reason) => retries.push(reason) });
      await sink.publish({ subject, payload: Buffer.from('first'), id: 'first' });
      await server.kill('SIGSTOP');
      // The signal takes its time: what is published just now may still be answered.
      const stored: Promise<unknown>[] = [];
      const publishOne = (): void =>
        void stored.push(sink.publish({ subject, payload: Buffer.from(`m${stored.length}`), id: `m${stored.length}` }));
      await until('a retry', () => (publishOne(), retries.length > 0), within);
      await server.kill('SIGCONT');
      await Promise.all(stored);
      assertEachOnce(await textsOf(link), stored.length + 1);
    });
  });

  it('reports a stream that was deleted while it publishes, and goes on with the one made after', async () => {
    await withServer(async (link) => {
      const regresses: { sequence: number; highest: number }[] = [];
      const sink = openSink(link, { stream }, { onRegress: (seen) => regresses.push(seen) });
      for (let at = 0; at < 10; at++) await sink.publish({ subject, payload: Buffer.from('x') });
      assert.equal(sink.highestSequence, 10);
      await link.manager.streams.delete(stream);
      await assert.rejects(sink.publish({ subject, payload: Buffer.from('x') }), { code: 'STREAM_MISSING', transient: true });
      await ensureChangeStream(link, { name: stream, maxBytes: 1_000_000 });
      assert.equal((await sink.publish({ subject, payload: Buffer.from('x') })).sequence, 1);
      assert.deepEqual(regresses, [{ sequence: 1, highest: 10 }]);
      await Promise.all(Array.from({ length: 20 }, () => sink.publish({ subject, payload: Buffer.from('y') })));
      assert.equal(regresses.length, 1);
      await sink.close();
    });
  });

  it('reports a regress from the first acknowledgement on, and never for a repeat of an id', async () => {
    await withServer(async (link) => {
      const first = openSink(link, { stream });
      await Promise.all(Array.from({ length: 5 }, (_, at) => first.publish({ subject, payload: Buffer.from('x'), id: `${at}` })));
      const regresses: { sequence: number; highest: number }[] = [];
      const { lastSeq } = (await streamIdentity(link, stream))!;
      const onRegress = (seen: { sequence: number; highest: number }): void => void regresses.push(seen);
      const same = openSink(link, { stream, highestSequence: lastSeq }, { onRegress });
      assert.equal((await same.publish({ subject, payload: Buffer.from('x'), id: '2' })).duplicate, true);
      await same.publish({ subject, payload: Buffer.from('x') });
      assert.equal(regresses.length, 0);
      const rolled = openSink(link, { stream, highestSequence: 100 }, { onRegress: (seen) => regresses.push(seen) });
      await rolled.publish({ subject, payload: Buffer.from('x') });
      assert.deepEqual(regresses, [{ sequence: 7, highest: 100 }]);
      await Promise.all([first, same, rolled].map((sink) => sink.close()));
    });
  });

  it('rejects what can never be stored, naming the limit, and goes on with the rest', async () => {
    await withServer(async (link) => {
      const sink = openSink(link, { stream });
      const tooLarge = { code: 'MESSAGE_TOO_LARGE' };
      await assert.rejects(sink.publish({ subject, payload: Buffer.alloc(link.maxPayload) }), tooLarge);
      await assert.rejects(sink.publish({ subject: 'elsewhere', payload: Buffer.from('x') }), { code: 'STREAM_SUBJECT' });
      for (const bad of [
        { subject: 'es a' },
        { subject: '' },
        { subject, id: 'a\r\nX: y' },
        { subject, headers: new Map([['a:b', 'c']]) },
      ]) {
        await assert.rejects(sink.publish({ payload: Buffer.from('x'), ...bad }), { code: 'MESSAGE_INVALID' });
      }
      await link.manager.streams.update(stream, { max_msg_size: 1_000 });
      await assert.rejects(sink.publish({ subject, payload: Buffer.alloc(2_000) }), tooLarge);
      await link.manager.streams.update(stream, { max_msg_size: -1, max_bytes: 50_000 });
      await assert.rejects(sink.publish({ subject, payload: Buffer.alloc(60_000) }), tooLarge);
      assert.equal((await sink.publish({ subject, payload: Buffer.from('fits') })).sequence, 1);
      await sink.close();
    });
  });

  it('refuses to store in a stream that is not its own', async () => {
    await withServer(async (link) => {
      await link.manager.streams.add({ name: 'FOREIGN', subjects: ['foreign.>'] });
      const sink = openSink(link, { stream });
      await assert.rejects(sink.publish({ subject: 'foreign.x', payload: Buffer.from('x') }), { code: 'STREAM_SUBJECT' });
      assert.equal((await link.manager.streams.info('FOREIGN')).state.messages, 0);
      await sink.close();
    });
  });

  it('reports a subject that the user may not publish to', async () => {
    const config = `accounts { A { jetstream: enabled, users: [
      { user: all, password: p }, { user: some, password: p, permissions: { publish: { deny: "es.acme.>" } } } ] } }`;
    const server = await freshNats({ config });
    const all = await connectNats({ urls: [server.url], name: 'test', user: 'all', password: 'p' });
    const some = await connectNats({ urls: [server.url], name: 'test', user: 'some', password: 'p' });
    await ensureChangeStream(all, { name: stream, maxBytes: 1_000_000 });
    const sink = openSink(some, { stream });
    await assert.rejects(sink.publish({ subject, payload: Buffer.from('x') }), { code: 'NATS_PERMISSION' });
    assert.equal((await sink.publish({ subject: 'es.other.items.index', payload: Buffer.from('x') })).sequence, 1);
    await sink.close();
    await Promise.all([all.close(), some.close()]);
    await server.stop();
  });

  it('bounds its queue, and room() paces a publisher', async () => {
    await withServer(async (link) => {
      const sink = openSink(link, { stream, windowMessages: 10, queueMessages: 20 });
      const results = await Promise.allSettled(
        Array.from({ length: 100 }, () => sink.publish({ subject, payload: Buffer.from('x') })),
      );
      const refused = results.filter((one) => one.status === 'rejected');
      assert.equal(refused.length, 70);
      assert.ok(refused.every((one) => (one.reason as { code?: string }).code === 'SINK_OVERRUN'));
      let most = 0;
      const paced: Promise<unknown>[] = [];
      for (let at = 0; at < 500; at++) {
        await sink.room();
        paced.push(sink.publish({ subject, payload: Buffer.from('x') }));
        most = Math.max(most, sink.inFlight.messages);
      }
      await Promise.all(paced);
      assert.ok(most <= 10 && most > 1, `${most} in flight`);
      await sink.close();
    });
  });

  it('abort() rejects what is pending with the given error', async () => {
    await withServer(async (link, server) => {
      const sink = openSink(link, { stream, windowMessages: 5 });
      await server.kill('SIGKILL');
      const pending = Array.from({ length: 20 }, () => sink.publish({ subject, payload: Buffer.from('x') }));
      const { GatewayError } = await import('../../src/core/errors.ts');
      sink.abort(new GatewayError('STREAM_LOST', 'test'));
      const results = await Promise.allSettled(pending);
      assert.ok(results.every((one) => one.status === 'rejected' && (one.reason as { code?: string }).code === 'STREAM_LOST'));
      assert.deepEqual(sink.inFlight, { messages: 0, bytes: 0 });
      await server.restart();
      assert.equal((await sink.publish({ subject, payload: Buffer.from('x') })).sequence, 1);
      await sink.close();
    });
  });

  it('rejects everything when the connection is closed for good', async () => {
    await withServer(async (link, server) => {
      const sink = openSink(link, { stream });
      await server.kill('SIGKILL');
      const pending = sink.publish({ subject, payload: Buffer.from('x') });
      await until('the loss', () => !link.connected, within);
      await Promise.all([assert.rejects(pending, { code: 'NATS_CLOSED' }), link.close()]);
      await assert.rejects(sink.publish({ subject, payload: Buffer.from('x') }), { code: 'NATS_CLOSED' });
    });
  });
});
