import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { Message, MessageSink } from '../../src/core/strategy.ts';
import { until } from '../support/until.ts';

/** One empty stream and its sink. */
export type SinkBench = {
  readonly sink: MessageSink;
  /** What the stream holds now, oldest first. */
  read: () => Promise<readonly Message[]>;
  purgeThrough: (sequence: number) => Promise<void>;
  close: () => Promise<void>;
};

const within = { withinMs: 20_000, everyMs: 10 };
const subject = 'es.acme.items.index';

function textOf(message: Message): string {
  return Buffer.from(message.payload).toString();
}

function nonEmpty<Item>(items: readonly Item[]): readonly Item[] | false {
  return items.length > 0 && items;
}

/** What every MessageSink promises. `start` makes a stream that holds `maxBytes` at most. */
export function messageSinkContract(name: string, start: (options: { maxBytes: number }) => Promise<SinkBench>): void {
  describe(`MessageSink: ${name}`, () => {
    const benches: SinkBench[] = [];
    const bench = async (maxBytes = 10_000_000): Promise<SinkBench> => {
      const made = await start({ maxBytes });
      benches.push(made);
      return made;
    };
    after(async () => {
      for (const made of benches) await made.close();
    });

    it('stores in the order of the calls and answers with rising sequences', async () => {
      const { sink, read } = await bench();
      const texts = Array.from({ length: 500 }, (_, at) => `m${at}`);
      const stored = await Promise.all(texts.map((text) => sink.publish({ subject, payload: Buffer.from(text) })));
      assert.deepEqual(
        stored.map((one) => one.sequence),
        texts.map((_, at) => at + 1),
      );
      assert.ok(stored.every((one) => !one.duplicate && one.stream === stored[0]!.stream));
      assert.deepEqual((await read()).map(textOf), texts);
    });

    it('keeps subject, payload bytes, headers and id', async () => {
      const { sink, read } = await bench();
      const payload = Uint8Array.from({ length: 256 }, (_, at) => at);
      const odd = 'es.acme.caf%C3%A9%2E*.index'.replace('*', '%2A');
      await sink.publish({ subject: odd, payload, id: 'uuid.0.1-2', headers: new Map([['Content-Encoding', 'zstd']]) });
      await sink.publish({ subject, payload: new Uint8Array(0) });
      const [first, second] = await read();
      assert.equal(first?.subject, odd);
      assert.deepEqual(Uint8Array.from(first.payload), payload);
      assert.equal(first?.headers.get('Content-Encoding'), 'zstd');
      assert.equal(first?.headers.get('Nats-Msg-Id'), 'uuid.0.1-2');
      assert.equal(second?.payload.length, 0);
    });

    it('stores an id once and answers the second time with the first sequence', async () => {
      const { sink, read } = await bench();
      const first = await sink.publish({ subject, payload: Buffer.from('a'), id: 'same' });
      const other = await sink.publish({ subject, payload: Buffer.from('b'), id: 'other' });
      const again = await sink.publish({ subject, payload: Buffer.from('a'), id: 'same' });
      assert.deepEqual([first.duplicate, other.duplicate, again.duplicate], [false, false, true]);
      assert.equal(again.sequence, first.sequence);
      assert.equal((await read()).length, 2);
    });

    it('waits while the stream is full, and goes on when there is room', async () => {
      const { sink, read, purgeThrough } = await bench(20_000);
      const stored: number[] = [];
      const all = Array.from({ length: 60 }, (_, at) =>
        sink.publish({ subject, payload: Buffer.alloc(1_000, at), id: `f${at}` }).then((one) => stored.push(one.sequence)),
      );
      const seen = new Set<number>();
      while (seen.size < 60) {
        const held = await until('messages', async () => nonEmpty(await read()), within);
        assert.ok(held.reduce((sum, message) => sum + message.payload.length, 0) <= 20_000);
        assert.ok(stored.length < 60 || seen.size >= 20, 'stored more than the stream holds');
        for (const message of held) seen.add(message.payload[0]!);
        await purgeThrough(held.at(-1)!.sequence);
      }
      await Promise.all(all);
      assert.equal(new Set(stored).size, 60);
    });

    it('close() waits for what is in flight and refuses more', async () => {
      const { sink, read } = await bench();
      const stored = Array.from({ length: 100 }, (_, at) => sink.publish({ subject, payload: Buffer.from(String(at)) }));
      await sink.close();
      assert.equal((await Promise.all(stored)).length, 100);
      assert.equal((await read()).length, 100);
      await assert.rejects(sink.publish({ subject, payload: Buffer.from('late') }), { code: 'SINK_CLOSED' });
    });
  });
}
