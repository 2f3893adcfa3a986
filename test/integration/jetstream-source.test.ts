import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Server } from '../../scripts/servers.ts';
import type { GatewayError } from '../../src/core/errors.ts';
import type { Delivery } from '../../src/core/strategy.ts';
import {
  connectNats,
  ensureChangeStream,
  openSink,
  openSource,
  type JetStreamSource,
  type NatsLink,
} from '../../src/jetstream/index.ts';
import { Proxy } from '../support/proxy.ts';
import { freshNats } from '../support/servers.ts';
import { until } from '../support/until.ts';

const stream = 'SOURCE';
const subject = 'es.acme.items.index';
const consumer = 'c';
const within = { withinMs: 60_000, everyMs: 10 };

async function withServer(work: (link: NatsLink, server: Server) => Promise<void>): Promise<void> {
  const server = await freshNats();
  const link = await connectNats({ urls: [server.url], name: 'test' });
  try {
    await ensureChangeStream(link, { name: stream, maxBytes: 200_000_000 });
    await work(link, server);
  } finally {
    await link.close();
    await server.stop();
  }
}

async function publish(link: NatsLink, count: number): Promise<void> {
  const sink = openSink(link, { stream });
  for (let at = 1; at <= count; at++) {
    if (at % 100 === 0) await sink.room();
    void sink.publish({ subject, payload: Buffer.from(String(at)), id: String(at) });
  }
  await sink.close();
}

/** Acknowledges whatever comes, and notes how often each message came and which acknowledgements were confirmed. */
class Reading {
  readonly source: JetStreamSource;
  readonly seen = new Map<number, number>();
  readonly confirmed = new Set<number>();
  readonly lost: GatewayError[] = [];
  readonly done: Promise<void>;

  constructor(source: JetStreamSource) {
    this.source = source;
    this.done = this.#run();
    // A test that fails closes the connection; its own error is the one to see.
    this.done.catch(() => undefined);
  }

  async #run(): Promise<void> {
    for await (const delivery of this.source) {
      const { sequence } = delivery.message;
      this.seen.set(sequence, (this.seen.get(sequence) ?? 0) + 1);
      void this.#acknowledge(delivery, sequence);
    }
  }

  async #acknowledge(delivery: Delivery, sequence: number): Promise<void> {
    try {
      await delivery.ack();
      this.confirmed.add(sequence);
    } catch (error) {
      this.lost.push(error as GatewayError);
    }
  }
}

describe('source of a stream', () => {
  it('reads all of 20,000 messages while the server is killed three times, and the consumer ends with nothing open', async () => {
    await withServer(async (link, server) => {
      const count = 20_000;
      await publish(link, count);
      const warnings: string[] = [];
      const source = await openSource(
        link,
        { stream, consumer, ackWaitMs: 2_000, windowMessages: 500 },
        { onWarning: (warning) => warnings.push(warning.code) },
      );
      const reading = new Reading(source);
      for (const after of [2_000, 8_000, 14_000]) {
        await until(`${after} read`, () => reading.seen.size > after, within);
        await server.restart();
      }
      await until('all confirmed', () => reading.confirmed.size === count, within);
      await until(
        'nothing open',
        async () => {
          const { pending, ackPending } = await source.lag();
          return pending === 0 && ackPending === 0;
        },
        within,
      );
      assert.equal(reading.seen.size, count);
      assert.ok(reading.lost.every((error) => error.code === 'ACK_LOST' && error.transient));
      assert.ok(!warnings.includes('CONSUMER_RECREATED'), warnings.join());
      await until('nothing outstanding', () => source.outstanding.messages === 0 && source.outstanding.bytes === 0, within);
      await source.stop();
      await reading.done;
      // Confirmed means gone: a new source gets nothing.
      const rest = await openSource(link, { stream, consumer, ackWaitMs: 2_000 });
      assert.deepEqual(await rest.lag(), { pending: 0, ackPending: 0, redelivered: 0 });
      await rest.stop();
    });
  });

  it('survives cut connections', async () => {
    await withServer(async (link, server) => {
      const count = 5_000;
      await publish(link, count);
      const proxy = await Proxy.to(server.url);
      const cut = await connectNats({ urls: [proxy.url('nats')], name: 'cut' });
      const reading = new Reading(await openSource(cut, { stream, consumer, ackWaitMs: 1_000, windowMessages: 200 }));
      for (const after of [500, 2_000, 3_500]) {
        await until(`${after} read`, () => reading.seen.size > after, within);
        proxy.cut();
      }
      await until('all confirmed', () => reading.confirmed.size === count, within);
      await reading.source.stop();
      await reading.done;
      await cut.close();
      await proxy.close();
    });
  });

  it('makes a deleted consumer anew, says so, and reads from the start', async () => {
    await withServer(async (link) => {
      await publish(link, 300);
      const warnings: GatewayError[] = [];
      const source = await openSource(
        link,
        { stream, consumer, windowMessages: 50 },
        { onWarning: (warning) => warnings.push(warning) },
      );
      const reading = new Reading(source);
      await until('all confirmed', () => reading.confirmed.size === 300, within);
      await link.manager.consumers.delete(stream, consumer);
      await until('a second round', () => [...reading.seen.values()].every((times) => times >= 2), within);
      assert.deepEqual(
        warnings.map((warning) => warning.code),
        ['CONSUMER_RECREATED'],
      );
      await until('nothing open', async () => (await source.lag()).ackPending === 0, within);
      await source.stop();
      await reading.done;
    });
  });

  it('rejects acknowledgements that nobody confirms any more with ACK_LOST', async () => {
    await withServer(async (link) => {
      await publish(link, 3);
      const source = await openSource(link, { stream, consumer });
      const { value } = (await source[Symbol.asyncIterator]().next()) as { value: Delivery };
      await link.manager.streams.delete(stream);
      await assert.rejects(value.ack(), { code: 'ACK_LOST', transient: true });
      await source.stop();
    });
  });

  it('waits for a deleted stream, says so, and reads the new one', async () => {
    await withServer(async (link) => {
      await publish(link, 10);
      const warnings: string[] = [];
      const source = await openSource(link, { stream, consumer }, { onWarning: (warning) => warnings.push(warning.code) });
      const reading = new Reading(source);
      await until('all confirmed', () => reading.confirmed.size === 10, within);
      await link.manager.streams.delete(stream);
      await until('the warning', () => warnings.includes('STREAM_MISSING'), within);
      await ensureChangeStream(link, { name: stream, maxBytes: 1_000_000 });
      await publish(link, 10);
      await until('the new stream', () => [...reading.seen.values()].every((times) => times === 2), within);
      assert.deepEqual(warnings, ['STREAM_MISSING', 'STREAM_BACK', 'CONSUMER_RECREATED']);
      await source.stop();
      await reading.done;
    });
  });

  it('refuses to start without a stream, and with a consumer of another kind', async () => {
    await withServer(async (link) => {
      await assert.rejects(openSource(link, { stream: 'NONE', consumer }), { code: 'STREAM_MISSING', transient: true });
      await assert.rejects(openSource(link, { stream, consumer: 'a.b' }), { code: 'NAME_INVALID' });
      await link.manager.consumers.add(stream, { durable_name: 'none', ack_policy: 'none' });
      await assert.rejects(openSource(link, { stream, consumer: 'none' }), (error: GatewayError) => {
        assert.equal(error.code, 'CONSUMER_SHAPE');
        assert.match(error.hint ?? '', /--consumer/);
        return true;
      });
    });
  });

  it('changes the settings of an existing consumer, and warns of a changed filter', async () => {
    await withServer(async (link) => {
      await (await openSource(link, { stream, consumer, filterSubjects: ['es.a.>'] })).stop();
      const warnings: string[] = [];
      const settings = { stream, consumer, ackWaitMs: 5_000, maxAckPending: 77, filterSubjects: ['es.a.>', 'es.b.>'] };
      await (await openSource(link, settings, { onWarning: (warning) => warnings.push(warning.code) })).stop();
      const { config } = await link.manager.consumers.info(stream, consumer);
      assert.deepEqual([config.ack_wait, config.max_ack_pending, config.filter_subjects], [5e9, 77, ['es.a.>', 'es.b.>']]);
      assert.deepEqual(warnings, ['CONSUMER_FILTER_CHANGED']);
      await (await openSource(link, { stream, consumer })).stop();
      assert.equal((await link.manager.consumers.info(stream, consumer)).config.filter_subjects, undefined);
    });
  });

  it('tells the lag', async () => {
    await withServer(async (link) => {
      await publish(link, 10);
      const source = await openSource(link, { stream, consumer, windowMessages: 4 });
      const iterator = source[Symbol.asyncIterator]();
      const { value } = (await iterator.next()) as { value: Delivery };
      await until('the window to fill', () => source.outstanding.messages === 4, within);
      assert.deepEqual(await source.lag(), { pending: 6, ackPending: 4, redelivered: 0 });
      await value.ack();
      await source.stop();
    });
  });

  it('ends the iteration with an error when the connection is closed for good', async () => {
    await withServer(async (link) => {
      const source = await openSource(link, { stream, consumer });
      const next = source[Symbol.asyncIterator]().next();
      await Promise.all([assert.rejects(next, { code: 'NATS_CLOSED' }), link.close()]);
    });
  });
});
