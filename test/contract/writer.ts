import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { ChangeEvent } from '../../src/core/event.ts';
import type { Outcome, Writer } from '../../src/core/strategy.ts';
import { writeEvents } from '../support/write-events.ts';

export type WriterUnderTest = {
  writer: Writer;
  /** Makes an index of that name whose field `n` takes integers only. */
  makeIndex(index: string): Promise<void>;
  /** The raw text of a document; undefined when there is none. */
  source(index: string, id: string, routing?: string): Promise<string | undefined>;
  close(): Promise<void>;
};

function write(index: string, id: string, version: number, source = '{"n":1}', routing?: string): ChangeEvent {
  const common = {
    tenant: 'acme',
    index,
    id,
    version,
    seqNo: 0,
    primaryTerm: 1,
    ts: 0,
    ...(routing === undefined ? {} : { routing }),
  };
  return { ...common, op: 'index', source: Buffer.from(source) };
}

function remove(index: string, id: string, version: number, routing?: string): ChangeEvent {
  const common = {
    tenant: 'acme',
    index,
    id,
    version,
    seqNo: 0,
    primaryTerm: 1,
    ts: 0,
    ...(routing === undefined ? {} : { routing }),
  };
  return { ...common, op: 'delete' };
}

const kinds = (outcomes: readonly Outcome[]): string[] => outcomes.map((outcome) => outcome.is);

/** What every Writer promises (core/strategy.ts). */
export function writerSuite(name: string, open: () => Promise<WriterUnderTest>): void {
  describe(`writer: ${name}`, () => {
    let under: WriterUnderTest;
    let made = 0;
    before(async () => {
      under = await open();
    });
    after(() => under.close());
    const freshIndex = async (): Promise<string> => {
      const index = `contract-writer-${process.pid}-${made++}`;
      await under.makeIndex(index);
      return index;
    };

    it('gives one outcome an event, in order', async () => {
      const index = await freshIndex();
      await writeEvents(under.writer, [write(index, 'known', 10)]);
      const outcomes = await writeEvents(under.writer, [
        write(index, 'a', 1),
        write(index, 'known', 5),
        write(index, 'b', 1, '{"n":"seven"}'),
        remove(index, 'c', 1),
        write(index, 'd', 1),
        remove(index, 'known', 9),
      ]);
      assert.deepEqual(kinds(outcomes), ['stored', 'stale', 'refused', 'stored', 'stored', 'stale']);
      assert.deepEqual(await writeEvents(under.writer, []), []);
    });

    it('stores a document as it came, byte for byte', async () => {
      const index = await freshIndex();
      const source =
        '{ "n" : 7 , "big":9007199254740993, "f":1.0, "e":1e3, "s":"\\u0041\\/ü🙂", "o":{"b":1,"a":2}, "source":{"id":"x"} }';
      await writeEvents(under.writer, [write(index, 'a/b c%20"\\🙂', 1, source)]);
      assert.equal(await under.source(index, 'a/b c%20"\\🙂'), source);
    });

    it('takes the same version again for done, and an older one too', async () => {
      const index = await freshIndex();
      assert.deepEqual(kinds(await writeEvents(under.writer, [write(index, 'a', 8, '{"n":8}')])), ['stored']);
      assert.deepEqual(kinds(await writeEvents(under.writer, [write(index, 'a', 8, '{"n":8}')])), ['stale']);
      assert.deepEqual(kinds(await writeEvents(under.writer, [write(index, 'a', 7, '{"n":7}'), remove(index, 'a', 6)])), [
        'stale',
        'stale',
      ]);
      assert.equal(await under.source(index, 'a'), '{"n":8}');
    });

    it('remembers a delete, also of what was never there', async () => {
      const index = await freshIndex();
      assert.deepEqual(kinds(await writeEvents(under.writer, [remove(index, 'missing', 20)])), ['stored']);
      assert.deepEqual(kinds(await writeEvents(under.writer, [write(index, 'missing', 19)])), ['stale']);
      assert.equal(await under.source(index, 'missing'), undefined);
      assert.deepEqual(kinds(await writeEvents(under.writer, [write(index, 'missing', 21)])), ['stored']);
      assert.deepEqual(kinds(await writeEvents(under.writer, [remove(index, 'missing', 22), write(index, 'missing', 21)])), [
        'stored',
        'stale',
      ]);
      assert.equal(await under.source(index, 'missing'), undefined);
    });

    it('takes several changes of one document in one write', async () => {
      const index = await freshIndex();
      const outcomes = await writeEvents(under.writer, [
        write(index, 'a', 1),
        write(index, 'a', 3, '{"n":3}'),
        write(index, 'a', 2),
        remove(index, 'b', 1),
      ]);
      assert.deepEqual(kinds(outcomes), ['stored', 'stored', 'stale', 'stored']);
      assert.equal(await under.source(index, 'a'), '{"n":3}');
    });

    it('says why a document is refused, and the others do not suffer', async () => {
      const index = await freshIndex();
      const events = Array.from({ length: 50 }, (_, n) =>
        write(index, `${n}`, 1, n % 10 === 3 ? '{"n":"no integer"}' : `{"n":${n}}`),
      );
      const outcomes = await writeEvents(under.writer, events);
      for (const [n, outcome] of outcomes.entries()) {
        assert.equal(outcome.is, n % 10 === 3 ? 'refused' : 'stored');
        if (outcome.is !== 'refused') continue;
        assert.equal(outcome.refusal.status, 400);
        assert.match(outcome.refusal.type, /pars/);
        assert.notEqual(outcome.refusal.reason, '');
      }
      assert.equal(await under.source(index, '3'), undefined);
      assert.equal(await under.source(index, '49'), '{"n":49}');
    });

    it('keeps routings apart', async () => {
      const index = await freshIndex();
      await writeEvents(under.writer, [write(index, 'a', 5, '{"n":5}', 'left')]);
      assert.equal(await under.source(index, 'a', 'left'), '{"n":5}');
      await writeEvents(under.writer, [remove(index, 'a', 6, 'left')]);
      assert.equal(await under.source(index, 'a', 'left'), undefined);
    });

    it('refuses a change that has no document', async () => {
      const index = await freshIndex();
      const { source: _, ...bare } = write(index, 'a', 1);
      const outcomes = await writeEvents(under.writer, [bare, write(index, 'b', 1)]);
      assert.deepEqual(kinds(outcomes), ['refused', 'stored']);
    });

    it('never moves a document back, however writes are mixed and repeated', async () => {
      const history = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.boolean()), { minLength: 1, maxLength: 24 });
      await fc.assert(
        fc.asyncProperty(history, fc.infiniteStream(fc.nat()), async (changes, chance) => {
          const index = await freshIndex();
          const next = (max: number): number => chance.next().value! % max;
          const events = changes.map(([id, gone], at) =>
            gone ? remove(index, id, at + 1) : write(index, id, at + 1, `{"n":${at + 1}}`),
          );
          // Every change once, some twice, in any order, in four writes at once.
          const repeated = [...events, ...events.filter(() => next(2) === 0)];
          const lanes: ChangeEvent[][] = [[], [], [], []];
          while (repeated.length > 0) lanes[next(4)]!.push(...repeated.splice(next(repeated.length), 1));
          const outcomes = (await Promise.all(lanes.map((lane) => writeEvents(under.writer, lane)))).flat();
          assert.ok(
            outcomes.every(({ is }) => is === 'stored' || is === 'stale'),
            JSON.stringify(kinds(outcomes)),
          );
          for (const id of ['a', 'b', 'c']) {
            const last = events.findLast((event) => event.id === id);
            assert.equal(
              await under.source(index, id),
              last?.source === undefined ? undefined : Buffer.from(last.source).toString(),
            );
          }
        }),
        { numRuns: 12 },
      );
    });
  });
}
