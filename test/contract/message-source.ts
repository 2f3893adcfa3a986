import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { Delivery, MessageSource, OutgoingMessage } from '../../src/core/strategy.ts';
import { until } from '../support/until.ts';

type SourceOptions = { consumer: string; windowMessages?: number; windowBytes?: number };

/** One empty stream with a short ack wait, and sources of it. */
export type SourceBench = {
  /** How long a message may be kept without a word, in ms. */
  readonly ackWaitMs: number;
  /** A legal and effective byte window for messages of 100,000 bytes. */
  readonly windowBytes: number;
  publish(messages: readonly OutgoingMessage[]): Promise<void>;
  open(options: SourceOptions): Promise<MessageSource>;
  close(): Promise<void>;
};

const within = { withinMs: 20_000, everyMs: 10 };

function numbered(count: number, from = 1, bytes = 0): OutgoingMessage[] {
  return Array.from({ length: count }, (_, at) => ({
    subject: `es.acme.items.${(from + at) % 2 === 0 ? 'index' : 'delete'}`,
    payload: Buffer.concat([Buffer.from(`${from + at}\n`), Buffer.alloc(bytes, 'x')]),
    headers: new Map([['Number', String(from + at)]]),
  }));
}

function numberOf(delivery: Delivery): number {
  return Number.parseInt(Buffer.from(delivery.message.payload.subarray(0, 12)).toString(), 10);
}

/** Collects deliveries without settling them. */
function collect(source: MessageSource): { got: Delivery[]; done: Promise<void> } {
  const got: Delivery[] = [];
  const done = (async () => {
    for await (const delivery of source) got.push(delivery);
  })();
  return { got, done };
}

/** What every MessageSource promises. `start` makes a bench with a stream of its own. */
export function messageSourceContract(name: string, start: () => Promise<SourceBench>): void {
  describe(`MessageSource: ${name}`, () => {
    const benches: SourceBench[] = [];
    const bench = async (): Promise<SourceBench> => {
      const made = await start();
      benches.push(made);
      return made;
    };
    after(async () => {
      for (const made of benches) await made.close();
    });

    it('delivers in stream order what was published before and after it was opened, with subject, headers, sequence and time', async () => {
      const stream = await bench();
      const began = Date.now();
      await stream.publish(numbered(50));
      const source = await stream.open({ consumer: 'c' });
      const { got, done } = collect(source);
      await until('the first 50', () => got.length === 50, within);
      await stream.publish(numbered(50, 51));
      await until('all 100', () => got.length === 100, within);
      await Promise.all(got.map((delivery) => delivery.ack()));
      await source.stop();
      await done;
      assert.deepEqual(
        got.map((delivery) => [numberOf(delivery), delivery.message.sequence, delivery.message.deliveries]),
        Array.from({ length: 100 }, (_, at) => [at + 1, at + 1, 1]),
      );
      const second = got[1]!.message;
      assert.equal(second.subject, 'es.acme.items.index');
      assert.equal(second.headers.get('Number'), '2');
      assert.equal(second.headers.get('Absent'), undefined);
      assert.ok(second.timestamp >= began - 1_000 && second.timestamp <= Date.now() + 1_000, `timestamp ${second.timestamp}`);
    });

    it('does not deliver again what was acknowledged, and delivers the rest to the next source of that name', async () => {
      const stream = await bench();
      await stream.publish(numbered(20));
      const first = await stream.open({ consumer: 'c' });
      const one = collect(first);
      await until('all 20', () => one.got.length === 20, within);
      await Promise.all(one.got.filter((delivery) => numberOf(delivery) <= 10).map((delivery) => delivery.ack()));
      for (const delivery of one.got.slice(10)) delivery.retryLater(0);
      await first.stop();
      await one.done;
      const second = await stream.open({ consumer: 'c' });
      const two = collect(second);
      await until('the other 10', () => two.got.length === 10, within);
      await Promise.all(two.got.map((delivery) => delivery.ack()));
      await second.stop();
      await two.done;
      assert.deepEqual(
        two.got.map(numberOf).toSorted((a, b) => a - b),
        [11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
      );
      assert.ok(two.got.every((delivery) => delivery.message.deliveries > 1));
    });

    it('delivers again what was not settled within the ack wait, and not what working() was said for', async () => {
      const stream = await bench();
      await stream.publish(numbered(2));
      const source = await stream.open({ consumer: 'c' });
      const { got, done } = collect(source);
      await until('both', () => got.length === 2, within);
      const kept = got[1]!;
      const keeping = setInterval(() => kept.working(), stream.ackWaitMs / 5);
      await until('a repeat', () => got.length > 2, within);
      const repeat = got[2]!;
      assert.equal(numberOf(repeat), 1);
      assert.equal(repeat.message.deliveries, 2);
      await repeat.ack();
      clearInterval(keeping);
      await kept.ack();
      assert.equal(got.filter((delivery) => numberOf(delivery) === 2).length, 1);
      await source.stop();
      await done;
    });

    it('retryLater delivers again, not before its time', async () => {
      const stream = await bench();
      await stream.publish(numbered(1));
      const source = await stream.open({ consumer: 'c' });
      const { got, done } = collect(source);
      await until('it', () => got.length === 1, within);
      const given = performance.now();
      got[0]!.retryLater(150);
      await until('a repeat', () => got.length === 2, within);
      assert.ok(performance.now() - given >= 140, `after ${performance.now() - given} ms`);
      assert.equal(got[1]!.message.deliveries, 2);
      await got[1]!.ack();
      await source.stop();
      await done;
    });

    it('stop() ends the iteration; what was delivered may still be settled, what was not taken goes elsewhere', async () => {
      const stream = await bench();
      await stream.publish(numbered(30));
      const source = await stream.open({ consumer: 'c' });
      const iterator = source[Symbol.asyncIterator]();
      const taken: Delivery[] = [];
      for (let count = 0; count < 5; count++) {
        const next = await iterator.next();
        if (next.done !== true) taken.push(next.value);
      }
      await source.stop();
      assert.equal((await iterator.next()).done, true);
      await Promise.all(taken.map((delivery) => delivery.ack()));
      const other = await stream.open({ consumer: 'c' });
      const { got, done } = collect(other);
      await until('the other 25', () => got.length === 25, within);
      await Promise.all(got.map((delivery) => delivery.ack()));
      await other.stop();
      await done;
      assert.deepEqual(
        got.map(numberOf).toSorted((a, b) => a - b),
        Array.from({ length: 25 }, (_, at) => at + 6),
      );
    });

    it('never has more messages out than its window, and fills it again as they are settled', async () => {
      const stream = await bench();
      await stream.publish(numbered(200));
      const source = await stream.open({ consumer: 'c', windowMessages: 8 });
      let out = 0;
      let most = 0;
      const seen = new Set<number>();
      const settle = async (delivery: Delivery): Promise<void> => {
        most = Math.max(most, out);
        await delivery.ack();
        if (--out === 0 && seen.size === 200) await source.stop();
      };
      for await (const delivery of source) {
        out++;
        seen.add(delivery.message.sequence);
        setImmediate(() => void settle(delivery));
      }
      assert.equal(seen.size, 200);
      assert.ok(most <= 8, `${most} at once`);
      assert.ok(most > 1, 'one at a time');
    });

    it('never has more bytes out than its window', async () => {
      const stream = await bench();
      await stream.publish(numbered(60, 1, 100_000));
      const source = await stream.open({ consumer: 'c', windowBytes: stream.windowBytes });
      const { got, done } = collect(source);
      const fits = Math.floor(stream.windowBytes / 100_000);
      let settled = 0;
      while (settled < 60) {
        await until('more', () => got.length > settled, within);
        assert.ok(got.length - settled <= fits, `${got.length - settled} messages of 100,000 bytes are out`);
        await got[settled++]!.ack();
      }
      await source.stop();
      await done;
      assert.equal(new Set(got.map(numberOf)).size, 60);
    });

    it('sources of one name share the messages', async () => {
      const stream = await bench();
      const sources = await Promise.all([
        stream.open({ consumer: 'c', windowMessages: 10 }),
        stream.open({ consumer: 'c', windowMessages: 10 }),
      ]);
      const seen: number[][] = [[], []];
      const all = Promise.all(
        sources.map(async (source, at) => {
          for await (const delivery of source) {
            seen[at]!.push(numberOf(delivery));
            await delivery.ack();
          }
        }),
      );
      await stream.publish(numbered(100));
      await until('all 100', () => seen[0]!.length + seen[1]!.length === 100, within);
      await Promise.all(sources.map((source) => source.stop()));
      await all;
      assert.equal(new Set(seen.flat()).size, 100);
      assert.ok(seen[0]!.length > 0 && seen[1]!.length > 0, `${seen[0]!.length} and ${seen[1]!.length}`);
    });
  });
}
