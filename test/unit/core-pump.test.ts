import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { GatewayError } from '../../src/core/errors.ts';
import { Pump, type PumpEvents, type PumpLimits, type PumpStages, type Verdict } from '../../src/core/pump.ts';
import type { Outcome, Refusal } from '../../src/core/strategy.ts';
import { ScriptedSource } from '../support/scripted-source.ts';

const limits: PumpLimits = {
  batch: { itemsMax: 10, bytesMax: 1000, ageMsMax: 1 },
  concurrencyMax: 4,
  heldBytesMax: 100_000,
  retry: { minMs: 1, maxMs: 2 },
  attemptsMax: 0,
  workingEveryMs: 5,
};

const away = new GatewayError('AWAY', 'the target is away', { transient: true });
const stored: Outcome = { is: 'stored' };
const busy: Outcome = { is: 'busy', status: 429, reason: 'too many' };
const refusal: Refusal = { status: 400, type: 'mapping', reason: 'no' };

/** What befalls an item, try by try. */
type Fate = 'stored' | 'stale' | 'busy' | 'unanswered' | 'refused' | 'away' | 'letter lost';

const answers = {
  stored,
  stale: { is: 'stale' },
  busy,
  unanswered: { is: 'busy', status: 0, reason: 'no answer' },
  refused: { is: 'refused', refusal },
} satisfies Record<string, Outcome>;

type Letter = { sequence: number; item: string | undefined; refusal: Refusal };

/** A pump over words: a message is its items, separated by blanks; `poison` cannot be opened. */
function setUp(
  payloads: readonly string[],
  more: Partial<PumpStages<string>> = {},
  changed: Partial<PumpLimits> = {},
  events: PumpEvents = {},
) {
  const source = new ScriptedSource(payloads);
  const letters: Letter[] = [];
  const batches: (readonly string[])[] = [];
  const deliver = more.deliver ?? ((items) => Promise.resolve(items.map(() => stored)));
  const pump = new Pump<string>(
    {
      source,
      open: ({ payload }) => {
        const text = Buffer.from(payload).toString();
        if (text === 'poison') return Promise.reject(new GatewayError('FRAME_FOREIGN', 'not ours'));
        return Promise.resolve(text.split(' ').filter((word) => word !== ''));
      },
      bytesOf: (item) => item.length,
      deadLetter: ({ sequence }, item, refusal) => {
        letters.push({ sequence, item, refusal });
        return Promise.resolve();
      },
      ...more,
      deliver: (items) => {
        batches.push(items);
        return deliver(items);
      },
    },
    { ...limits, ...changed },
    events,
    () => 0.5,
  );
  return { source, pump, letters, batches };
}

/** Resolves at the first turn of the event loop at which it holds. */
async function until(holds: () => boolean): Promise<void> {
  const endsAt = Date.now() + 10_000;
  while (!holds()) {
    assert.ok(Date.now() < endsAt, `waited in vain: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

test('whatever the target answers, everything is settled exactly once and nothing before its time', async () => {
  const fate = fc.array(fc.constantFrom('stored', 'stale', 'busy', 'unanswered', 'refused', 'away', 'letter lost'), {
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fate, { maxLength: 25 }), { maxLength: 20 }),
      fc.record({
        itemsMax: fc.integer({ min: 1, max: 12 }),
        bytesMax: fc.integer({ min: 1, max: 60 }),
        ageMsMax: fc.nat({ max: 2 }),
      }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 200 }),
      async (fates, batch, concurrencyMax, heldBytesMax) => {
        const left = new Map<string, Fate[]>();
        const payloads = fates.map((items, message) =>
          items
            .map((fate, at) => {
              left.set(`m${message + 1}i${at}`, [...fate]);
              return `m${message + 1}i${at}`;
            })
            .join(' '),
        );
        const done = new Set<string>();
        let inFlight = 0;
        const next = <Kind extends Fate>(item: string, kinds: readonly Kind[]): Kind | undefined => {
          const fates = left.get(item)!;
          return (kinds as readonly Fate[]).includes(fates[0]!) ? (fates.shift() as Kind) : undefined;
        };
        const { source, pump, letters } = setUp(
          payloads,
          {
            async deliver(items) {
              inFlight++;
              assert.ok(inFlight <= concurrencyMax, 'too many batches at once');
              assert.ok(items.length > 0 && items.length <= batch.itemsMax);
              for (const item of items) assert.ok(!done.has(item), `${item} was settled before`);
              await new Promise((resolve) => setImmediate(resolve));
              inFlight--;
              if (items.some((item) => next(item, ['away']) !== undefined)) throw away;
              return items.map((item) => {
                const answer = next(item, ['stored', 'stale', 'busy', 'unanswered', 'refused']) ?? 'stored';
                if (answer === 'stored' || answer === 'stale') done.add(item);
                return answers[answer];
              });
            },
            async deadLetter(message, item, refusal) {
              await Promise.resolve();
              if (next(item!, ['letter lost']) !== undefined) throw away;
              letters.push({ sequence: message.sequence, item, refusal });
              done.add(item!);
            },
          },
          { batch, concurrencyMax, heldBytesMax },
        );
        source.onAck = (message) => {
          const items = Buffer.from(message.payload).toString().split(' ').filter(Boolean);
          for (const item of items) assert.ok(done.has(item), `${message.sequence} acknowledged before ${item} was settled`);
          return Promise.resolve();
        };
        await pump.run();
        assert.equal(done.size, left.size);
        assert.deepEqual(source.settledTwice, []);
        for (const [sequence, how] of source.settlements) assert.deepEqual(how, ['ack'], `message ${sequence}`);
        assert.equal(source.settlements.size, payloads.length);
        assert.deepEqual(pump.stats, { ...pump.stats, heldMessages: 0, heldBytes: 0, inFlight: 0, retrying: 0 });
      },
    ),
    { numRuns: 60 },
  );
});

test('only what was busy is tried again', async () => {
  const tries = new Map<string, number>();
  const { pump } = setUp(['a b c d'], {
    deliver: (items) =>
      Promise.resolve(
        items.map((item) => {
          const count = (tries.get(item) ?? 0) + 1;
          tries.set(item, count);
          return item === 'b' && count < 4 ? busy : stored;
        }),
      ),
  });
  await pump.run();
  assert.deepEqual(Object.fromEntries(tries), { a: 1, b: 4, c: 1, d: 1 });
});

test('a refused item becomes a dead letter and the rest of its message goes on', async () => {
  const { pump, letters, source } = setUp(['a b c'], {
    deliver: (items) => Promise.resolve(items.map((item) => (item === 'b' ? { is: 'refused', refusal } : stored))),
  });
  await pump.run();
  assert.deepEqual(letters, [{ sequence: 1, item: 'b', refusal }]);
  assert.deepEqual(source.settlements.get(1), ['ack']);
});

test('a message that cannot be opened becomes a dead letter as a whole', async () => {
  const { pump, letters, source } = setUp(['a', 'poison', 'b']);
  await pump.run();
  assert.deepEqual(letters, [
    { sequence: 2, item: undefined, refusal: { status: 0, type: 'FRAME_FOREIGN', reason: 'not ours' } },
  ]);
  assert.deepEqual([...source.settlements.values()], [['ack'], ['ack'], ['ack']]);
});

test('a message whose opening fails for now is given back', async () => {
  let tries = 0;
  const { pump, source, letters } = setUp(['a'], {
    open: () => (++tries === 1 ? Promise.reject(away) : Promise.resolve(['a'])),
  });
  await pump.run();
  assert.deepEqual(source.settlements.get(1), ['retryLater', 'ack']);
  assert.deepEqual(letters, []);
});

test('tries that got an answer are limited, those without are not', async () => {
  const answers: Outcome[] = [
    ...Array.from({ length: 20 }, (): Outcome => ({ is: 'busy', status: 0, reason: 'no answer' })),
    ...Array.from({ length: 3 }, () => busy),
  ];
  const { pump, letters, batches } = setUp(['a'], { deliver: () => Promise.resolve([answers.shift()!]) }, { attemptsMax: 3 });
  await pump.run();
  assert.equal(batches.length, 23);
  assert.deepEqual(letters[0]!.refusal, { status: 429, type: 'retries_exhausted', reason: 'too many' });
});

test('an outcome may limit the tries itself, and says what it comes to', async () => {
  const atLast = { tries: 3, refusal };
  const { pump, letters, batches } = setUp(['a'], { deliver: () => Promise.resolve([{ ...busy, atLast }]) });
  await pump.run();
  assert.equal(batches.length, 3);
  assert.deepEqual(letters, [{ sequence: 1, item: 'a', refusal }]);
});

test('a target that is away blocks, is told of, loses nothing, and counts for no limit', async () => {
  let left = 12;
  const told: (string | undefined)[] = [];
  const { pump, letters, source } = setUp(
    ['a b', 'c'],
    { deliver: (items) => (left-- > 0 ? Promise.reject(away) : Promise.resolve(items.map(() => stored))) },
    { attemptsMax: 2 },
    { onBlocked: (error) => told.push(error?.code) },
  );
  await pump.run();
  assert.deepEqual(letters, []);
  assert.equal(source.settlements.size, 2);
  assert.equal(told.length, 13);
  assert.deepEqual([...new Set(told)], ['AWAY', undefined]);
  assert.equal(told.at(-1), undefined);
});

test('a wrong number of outcomes settles nothing', async () => {
  let first = true;
  const { pump, batches } = setUp(['a b'], {
    deliver: (items) => {
      const outcomes = first ? [stored] : items.map(() => stored);
      first = false;
      return Promise.resolve(outcomes);
    },
  });
  await pump.run();
  assert.deepEqual(batches, [
    ['a', 'b'],
    ['a', 'b'],
  ]);
});

test('stop delivers what it has and gives back what would have to wait', async () => {
  const release = Promise.withResolvers<void>();
  const { pump, source, batches } = setUp(
    ['quick', 'slow', 'busy'],
    {
      async deliver(items) {
        if (items.includes('slow')) await release.promise;
        return items.map((item) => (item === 'busy' ? busy : stored));
      },
    },
    { batch: { itemsMax: 1, bytesMax: 1000, ageMsMax: 1 }, retry: { minMs: 60_000, maxMs: 60_000 } },
  );
  const run = pump.run();
  await until(() => pump.stats.retrying === 1 && batches.length === 3);
  await pump.stop();
  release.resolve();
  await run;
  assert.deepEqual(source.settlements.get(2), ['ack']);
  assert.deepEqual(source.settlements.get(3), ['retryLater']);
  assert.deepEqual(source.settledTwice, []);
});

test('stop gives everything back at once when the target takes nothing', async () => {
  const payloads = Array.from({ length: 500 }, (_, at) => `item${at}`);
  const { pump, source, batches } = setUp(payloads, { deliver: () => Promise.reject(away) }, { concurrencyMax: 1 });
  const run = pump.run();
  await until(() => pump.stats.blocked && source.delivered === 500);
  const before = batches.length;
  await pump.stop();
  await run;
  assert.ok(batches.length - before <= 3, `${batches.length - before} more tries`);
  for (const how of source.settlements.values()) assert.deepEqual(how, ['retryLater']);
  assert.equal(source.settlements.size, 500);
});

test('stop gives back a message whose dead letter cannot be kept', async () => {
  let tries = 0;
  const { pump, source } = setUp(['a'], {
    deliver: () => Promise.resolve([{ is: 'refused', refusal }]),
    deadLetter: () => {
      tries++;
      return Promise.reject(away);
    },
  });
  const run = pump.run();
  await until(() => tries > 3);
  assert.equal(source.settlements.size, 0, 'not acknowledged before its dead letter is durable');
  await pump.stop();
  await run;
  assert.deepEqual(source.settlements.get(1), ['retryLater']);
});

test('a dead letter that can never be kept ends the run, even while nothing arrives, and loses nothing', async () => {
  const lasting = new GatewayError('NATS_PERMISSION', 'may not publish');
  const { pump, source } = setUp(['a', 'b'], {
    deliver: (items) => Promise.resolve(items.map((item) => (item === 'a' ? { is: 'refused', refusal } : stored))),
    deadLetter: () => Promise.reject(lasting),
  });
  await assert.rejects(pump.run(), lasting);
  assert.deepEqual(source.settlements.get(1), ['retryLater']);
  assert.deepEqual(source.settledTwice, []);
});

test('an acknowledgement that is lost is no failure: the message comes again', async () => {
  const { pump, source } = setUp(['a', 'b']);
  let lost = false;
  source.onAck = ({ sequence, payload }) => {
    if (sequence !== 1 || lost) return Promise.resolve();
    lost = true;
    source.add(Buffer.from(payload).toString(), 3);
    return Promise.reject(new GatewayError('ACK_LOST', 'the consumer is gone', { transient: true }));
  };
  const run = pump.run();
  await until(() => source.settlements.size === 3);
  await pump.stop();
  await run;
  assert.equal(pump.stats.heldMessages, 0);
});

test('what is held is bounded, and a message above the bound is still taken', async () => {
  let most = 0;
  const payloads = [...Array.from({ length: 200 }, () => 'x'.repeat(10)), 'y'.repeat(500), 'z'];
  const { pump } = setUp(
    payloads,
    {
      async deliver(items) {
        most = Math.max(most, pump.stats.heldBytes);
        await new Promise((resolve) => setImmediate(resolve));
        return items.map(() => stored);
      },
    },
    { heldBytesMax: 100 },
  );
  await pump.run();
  assert.ok(most >= 500 && most < 100 + 500, `${most} bytes`);
});

test('concurrency falls while the target is busy and comes back', async () => {
  let answer: Outcome = busy;
  const source = new ScriptedSource(Array.from({ length: 2000 }, (_, at) => `${at}`));
  const seen: number[] = [];
  const pump = new Pump<string>(
    {
      source,
      open: ({ payload }) => Promise.resolve([Buffer.from(payload).toString()]),
      bytesOf: () => 1,
      async deliver(items) {
        seen.push(pump.stats.concurrency);
        if (seen.length > 30) answer = stored;
        await new Promise((resolve) => setImmediate(resolve));
        return items.map(() => answer);
      },
      deadLetter: () => Promise.resolve(),
    },
    { ...limits, concurrencyMax: 8 },
  );
  await pump.run();
  assert.equal(seen[0], 8);
  assert.equal(Math.min(...seen), 1);
  assert.equal(pump.stats.concurrency, 8);
});

test('an idle stream waits for nobody, and a busy one is carried in full batches', async () => {
  const quiet = setUp(['a'], {}, { batch: { itemsMax: 10, bytesMax: 1000, ageMsMax: 60_000 } });
  await quiet.pump.run();
  assert.deepEqual(quiet.batches, [['a']]);
  const crowd = setUp(
    Array.from({ length: 500 }, (_, at) => `${at}`),
    {
      async deliver(items) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        return items.map(() => stored);
      },
    },
    { batch: { itemsMax: 50, bytesMax: 100_000, ageMsMax: 20 } },
  );
  await crowd.pump.run();
  assert.ok(crowd.batches.length <= 13, `${crowd.batches.length} batches`);
});

test('time allowed for what is held is extended', async () => {
  const release = Promise.withResolvers<void>();
  const { pump, source } = setUp(['a'], {
    async deliver(items) {
      await release.promise;
      return items.map(() => stored);
    },
  });
  const run = pump.run();
  await until(() => (source.working.get(1) ?? 0) >= 2);
  release.resolve();
  await run;
});

test('a source that fails ends the run and gives back what is held', async () => {
  const broken = new GatewayError('NATS_CLOSED', 'connection closed');
  const source = new ScriptedSource(['a']);
  const failing = {
    stop: () => source.stop(),
    async *[Symbol.asyncIterator]() {
      for await (const delivery of source) {
        yield delivery;
        throw broken;
      }
    },
  };
  const { pump } = setUp([], { source: failing, deliver: () => new Promise(() => {}) });
  await assert.rejects(pump.run(), broken);
  assert.deepEqual(source.settlements.get(1), ['retryLater']);
});

test('an item that falls apart is settled part by part, and counts for as many as it holds', async () => {
  const tries: string[] = [];
  const { source, pump, letters, batches } = setUp(
    ['abc de'],
    {
      countOf: (item) => item.length,
      deliver: (items) => {
        tries.push(...items);
        return Promise.resolve(
          items.map((item): Verdict<string> => {
            if (item === 'abc')
              return {
                is: 'split',
                parts: [
                  { item: 'b', outcome: busy },
                  { item: 'c', outcome: { is: 'refused', refusal } },
                ],
              };
            return stored;
          }),
        );
      },
    },
    { batch: { itemsMax: 3, bytesMax: 1000, ageMsMax: 0 } },
  );
  await pump.run();
  assert.deepEqual(batches[0], ['abc']);
  assert.deepEqual(tries.toSorted(), ['abc', 'b', 'de']);
  assert.deepEqual(
    letters.map(({ item }) => item),
    ['c'],
  );
  assert.deepEqual(source.settlements.get(1), ['ack']);
});
