import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Delivery } from '../../src/core/strategy.ts';
import {
  connectNats,
  ensureChangeStream,
  openSink,
  openSource,
  openSpace,
  systemClock,
  type Clock,
  type NatsLink,
} from '../../src/jetstream/index.ts';
import { sharedNats } from '../support/servers.ts';
import { until } from '../support/until.ts';

const stream = 'SPACE';
const within = { withinMs: 20_000, everyMs: 10 };
const hourMs = 3_600_000;
let link: NatsLink;

before(async () => {
  link = await connectNats({ urls: [(await sharedNats()).url], name: 'test' });
});
after(() => link.close());
beforeEach(async () => {
  await link.manager.streams.delete(stream).catch(() => false);
  await ensureChangeStream(link, { name: stream, maxBytes: 1_000_000 });
});

async function publish(count: number, operation = 'index', bytes = 10): Promise<void> {
  const sink = openSink(link, { stream });
  await Promise.all(
    Array.from({ length: count }, () => sink.publish({ subject: `es.a.b.${operation}`, payload: Buffer.alloc(bytes) })),
  );
  await sink.close();
}

/** Takes `count` messages and acknowledges them, or those that `wanted` says. */
async function take(
  consumer: string,
  count: number,
  wanted: (delivery: Delivery) => boolean = () => true,
  filter?: string,
): Promise<Delivery[]> {
  const source = await openSource(link, {
    stream,
    consumer,
    ackWaitMs: 1_000,
    ...(filter === undefined ? {} : { filterSubjects: [filter] }),
  });
  const taken: Delivery[] = [];
  for await (const delivery of source) {
    taken.push(delivery);
    if (wanted(delivery)) await delivery.ack();
    if (taken.length === count) await source.stop();
  }
  return taken;
}

async function firstKept(): Promise<number> {
  return (await link.manager.streams.info(stream)).state.first_seq;
}

/** A clock that is an hour ahead and more: everything is old. */
const late: Clock = { now: () => systemClock.now() + 2 * hourMs, after: (delayMs, call) => systemClock.after(delayMs, call) };

describe('space of the stream', () => {
  it('purges exactly what the slower of two consumers has acknowledged', async () => {
    const space = openSpace(link, { stream, keepMs: hourMs }, {}, late);
    await publish(100);
    await link.manager.consumers.add(stream, { durable_name: 'slow', ack_policy: 'explicit' });
    await take('fast', 100);
    await space.check();
    assert.equal(await firstKept(), 1, 'a consumer that has read nothing needs everything');
    assert.equal(await space.ackFloor(), 0);
    const acknowledged = new Set<number>();
    const takeSome = async (count: number, skip: number): Promise<void> => {
      const taken = await take('slow', count, (delivery) => delivery.message.sequence !== skip);
      for (const { message } of taken) if (message.sequence !== skip) acknowledged.add(message.sequence);
      let needed = 1;
      while (acknowledged.has(needed)) needed++;
      await space.check();
      assert.equal(await firstKept(), needed);
      assert.equal(space.purgedSeq, needed - 1);
      assert.equal(await space.ackFloor(), needed - 1);
    };
    await takeSome(30, 21);
    assert.equal(space.purgedSeq, 20);
    await takeSome(20, 0);
    await takeSome(51, 0);
    assert.equal(space.purgedSeq, 100);
  });

  it('purges nothing without a durable consumer, full or not', async () => {
    const space = openSpace(link, { stream, keepMs: 0 }, {}, late);
    await publish(50, 'index', 18_000);
    await link.manager.consumers.add(stream, { ack_policy: 'none', deliver_policy: 'new', inactive_threshold: 60e9 });
    space.noteFull(true);
    await space.check();
    assert.equal(await firstKept(), 1);
    assert.equal(await space.ackFloor(), 0);
  });

  it('goes past messages that no filter wants, but not past one that a filter does', async () => {
    const space = openSpace(link, { stream, keepMs: hourMs }, {}, late);
    await publish(5, 'delete');
    await take('deletes', 5, () => true, 'es.*.*.delete');
    await publish(20, 'index');
    await space.check();
    assert.equal(await firstKept(), 26, 'the filter wants none of 6 to 25');
    await publish(3, 'index');
    await publish(1, 'delete');
    await publish(3, 'index');
    await space.check();
    assert.equal(await firstKept(), 29, 'message 29 is wanted and unread');
    await openSource(link, { stream, consumer: 'all' }).then((source) => source.stop());
    await take('deletes', 1, () => true, 'es.*.*.delete');
    await space.check();
    assert.equal(await firstKept(), 29, 'a new consumer wants everything that is left');
  });

  it('keeps what was read until it is old, unless space is short', async () => {
    let ahead = 0;
    const clock: Clock = { now: () => systemClock.now() + ahead, after: systemClock.after };
    const space = openSpace(link, { stream, keepMs: hourMs }, {}, clock);
    await publish(40, 'index', 10_000);
    await take('c', 40);
    await space.check();
    assert.equal(await firstKept(), 1, 'young, and room enough');
    const { state } = await link.manager.streams.info(stream);
    await until('a later millisecond', () => Date.now() > Date.parse(state.last_ts) + 5, within);
    const boundary = Date.now();
    await until('a later millisecond', () => Date.now() > boundary + 5, within);
    await publish(20, 'index', 10_000);
    await take('c', 20);
    ahead = boundary + hourMs - systemClock.now();
    await space.check();
    assert.equal(await firstKept(), 41, 'the first 40 are old');
    ahead = 0;
    await publish(70, 'index', 10_000);
    await take('c', 70);
    assert.ok(space.maxBytes === 1_000_000);
    await space.check();
    assert.equal(await firstKept(), 131, 'above 80 % of the limit');
    assert.equal(space.messages, 0);
  });

  it('lets a stream that is far too small carry everything to two consumers', async () => {
    const count = 3_000;
    const purged: number[] = [];
    const fulls: boolean[] = [];
    const space = openSpace(link, { stream, keepMs: hourMs }, { onPurged: (through) => (purged.push(through), sink.kick()) });
    const sink = openSink(link, { stream }, { onFull: (full) => (fulls.push(full), space.noteFull(full)) });
    const read = async (consumer: string): Promise<Set<string>> => {
      const source = await openSource(link, { stream, consumer, windowMessages: 64, windowBytes: 1 });
      const seen = new Set<string>();
      for await (const delivery of source) {
        seen.add(Buffer.from(delivery.message.payload.subarray(0, 8)).toString());
        void delivery.ack();
        if (seen.size === count) await source.stop();
      }
      return seen;
    };
    const readers = Promise.all([read('one'), read('two')]);
    await until('both consumers', async () => (await link.manager.streams.info(stream)).state.consumer_count === 2, within);
    space.start();
    for (let at = 0; at < count; at++) {
      if (at % 64 === 0) await sink.room();
      void sink.publish({
        subject: 'es.a.b.index',
        payload: Buffer.from(String(at).padStart(8, '0').padEnd(3_000, 'x')),
        id: String(at),
      });
    }
    await sink.close();
    const [one, two] = await readers;
    assert.equal(one.size, count);
    assert.equal(two.size, count);
    assert.ok(purged.length > 3, `${purged.length} purges`);
    assert.ok(fulls.includes(true), 'it was never full');
    assert.equal(fulls.at(-1), false);
    assert.equal(space.fullSince, undefined);
    await space.stop();
  });
});
