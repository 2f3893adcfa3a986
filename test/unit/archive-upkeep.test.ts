import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  compactArchive,
  findBlocks,
  pruneArchive,
  readArchive,
  storeBlock,
  summariseArchive,
  timeOf,
  verifyArchive,
  type ArchiveMessage,
  type BlockOptions,
} from '../../src/archive/index.ts';
import type { ObjectStore } from '../../src/core/strategy.ts';
import { MemoryObjectStore } from '../../src/objects/index.ts';
import { keyOf, message, origin, sealed } from '../support/blocks.ts';

function run(from: number, to: number, step = 1): ArchiveMessage[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, at) => message(from + at * step));
}

async function put(
  store: ObjectStore,
  messages: readonly ArchiveMessage[],
  options: Partial<BlockOptions> = {},
  prefix = '',
): Promise<string> {
  return (await storeBlock(store, prefix, await sealed(messages, options))).key;
}

async function keysOf(store: ObjectStore): Promise<string[]> {
  return (await Array.fromAsync(findBlocks(store, {}))).map(({ key }) => key);
}

async function sequences(store: ObjectStore): Promise<number[]> {
  const batches = await Array.fromAsync(readArchive(store, { stream: origin.stream }));
  return batches.flatMap(({ messages }) => messages.map(({ sequence }) => sequence));
}

describe('storing a block', () => {
  test('again is success, also where it was compressed differently', async () => {
    const store = new MemoryObjectStore();
    const messages = run(1, 50);
    const first = await storeBlock(store, '', await sealed(messages));
    assert.equal(first.is, 'stored');
    for (const options of [{}, { level: 9 }, { compression: 'none' as const }, { partBytes: 100 }]) {
      const again = await storeBlock(store, '', await sealed(messages, options));
      assert.deepEqual([again.is, again.key, again.beside], ['there', first.key, undefined]);
    }
    assert.equal((await keysOf(store)).length, 1);
  });

  test('leaves what has its key and is something else, and goes beside it', async () => {
    const store = new MemoryObjectStore();
    const [first] = [await put(store, run(1, 9))];
    const others: [string, Partial<BlockOptions>, ArchiveMessage[]][] = [
      ['other messages', {}, run(1, 9, 2)],
      ['another life of the stream', { streamCreated: '2025-11-21T00:00:00Z' }, run(1, 9)],
      ['another payload', {}, run(1, 9).map((one) => ({ ...one, payload: Buffer.from('else') }))],
      ['another header', {}, run(1, 9).map((one) => ({ ...one, headers: Buffer.from('NATS/1.0\r\nA: 1\r\n\r\n') }))],
    ];
    for (const [what, options, messages] of others) {
      const block = await sealed(messages, options);
      const stored = await storeBlock(store, '', block);
      assert.deepEqual([stored.is, stored.beside?.key], ['stored', first], what);
      const again = await storeBlock(store, '', block);
      assert.deepEqual([again.is, again.key], ['there', stored.key], what);
    }
    assert.equal((await keysOf(store)).length, 5);
  });

  test('does so beside a damaged one too', async () => {
    const store = new MemoryObjectStore();
    const block = await sealed(run(1, 9));
    await store.put(keyOf(block), block.body.subarray(0, -1));
    const stored = await storeBlock(store, '', block);
    assert.equal(stored.is, 'stored');
    assert.match(stored.beside?.reason ?? '', /is damaged/);
  });
});

describe('a summary', () => {
  test('counts by prefix, life of the stream, and job', async () => {
    const store = new MemoryObjectStore();
    await put(store, run(1, 10));
    await put(store, run(11, 20), { format: 'ndjson' });
    await put(store, run(1, 5), { job: 'other' });
    await put(store, run(1, 5), { streamCreated: '2025-11-21T00:00:00Z' }, 'p/q');
    await store.put('ORDERS/readme.txt', Buffer.from('not a block'));
    await store.put('ORDERS/job-1/2025/11/21/10/00000000000000000099-100.n3b', Buffer.from('no block either'));
    const { chains, unreadable } = await summariseArchive(store, {});
    assert.deepEqual(
      chains.map(({ prefix, streamCreated, job, blocks, messages, firstSequence, lastSequence, firstTime, lastTime }) => [
        prefix,
        streamCreated,
        job,
        blocks,
        messages,
        firstSequence,
        lastSequence,
        firstTime,
        lastTime,
      ]),
      [
        ['', origin.streamCreated, 'job-1', 2, 20, 1, 20, timeOf(message(1)), timeOf(message(20))],
        ['', origin.streamCreated, 'other', 1, 5, 1, 5, timeOf(message(1)), timeOf(message(5))],
        ['p/q', '2025-11-21T00:00:00.000000000Z', 'job-1', 1, 5, 1, 5, timeOf(message(1)), timeOf(message(5))],
      ],
    );
    assert.deepEqual(
      unreadable.map(({ error }) => error.code),
      ['ARCHIVE_DAMAGED'],
    );
    assert.equal((await summariseArchive(store, { prefix: '', stream: 'ORDERS', job: 'other' })).chains.length, 1);
    assert.equal((await summariseArchive(store, { prefix: '/p/q/' })).chains.length, 1);
  });
});

/** What verifying has to say, but for what is whole. */
async function complaints(store: ObjectStore): Promise<unknown[]> {
  const findings = await Array.fromAsync(verifyArchive(store, {}));
  return findings.flatMap((finding): unknown[] => {
    if (finding.is === 'whole') return [];
    if (finding.is === 'unreadable') return [['unreadable', finding.key]];
    const { from, to } = finding;
    return [finding.is === 'gap' ? ['gap', from, to, finding.certain] : ['overlap', from, to]];
  });
}

describe('verifying', () => {
  test('finds nothing wrong in a whole archive, with messages of other subjects between', async () => {
    const store = new MemoryObjectStore();
    await put(store, run(3, 10), { after: 0 });
    await put(store, run(15, 20), { after: 10 });
    await put(store, run(21, 30));
    assert.deepEqual(await complaints(store), []);
  });

  test('finds a block that is missing, and says where it cannot be sure', async () => {
    const store = new MemoryObjectStore();
    await put(store, run(1, 10), { after: 0 });
    await put(store, run(31, 40), { after: 20 });
    await put(store, run(51, 60));
    assert.deepEqual(await complaints(store), [
      ['gap', 11, 20, true],
      ['gap', 41, 50, false],
    ]);
  });

  test('finds overlaps, damage, and blocks under a wrong key', async () => {
    const store = new MemoryObjectStore();
    await put(store, run(1, 10));
    await put(store, run(6, 20));
    const block = await sealed(run(21, 30));
    const wrong = keyOf(block).replace('-30.', '-31.');
    await store.put(wrong, block.body);
    const damaged = keyOf(block);
    const body = Buffer.from(block.body);
    body[body.length - 60]! ^= 1;
    await store.put(damaged, body);
    assert.deepEqual(await complaints(store), [
      ['unreadable', damaged],
      ['unreadable', wrong],
      ['overlap', 6, 10],
    ]);
  });
});

describe('compacting', () => {
  test('makes few blocks of many, loses nothing, and has nothing to do a second time', async () => {
    const stored = fc.record({
      from: fc.integer({ min: 1, max: 80 }),
      length: fc.integer({ min: 0, max: 20 }),
      step: fc.integer({ min: 1, max: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(stored, { minLength: 1, maxLength: 8 }),
        fc.constantFrom(1, 60, 100_000),
        async (blocks, targetBytes) => {
          const store = new MemoryObjectStore();
          for (const { from, length, step } of blocks) await put(store, run(from, from + length, step));
          const before = await sequences(store);
          const done = await Array.fromAsync(compactArchive(store, { targetBytes }));
          assert.ok(done.every(({ is }) => is === 'compacted'));
          assert.deepEqual(await sequences(store), before);
          const findings = await Array.fromAsync(verifyArchive(store, {}));
          assert.ok(findings.every(({ is }) => is === 'whole' || is === 'gap'));
          if (targetBytes === 100_000) assert.deepEqual(await Array.fromAsync(compactArchive(store, { targetBytes })), []);
        },
      ),
    );
  });

  test('does not rewrite a large block for the sake of a small one', async () => {
    const store = new MemoryObjectStore();
    await put(store, run(1, 90));
    await put(store, run(91, 100));
    assert.deepEqual(await Array.fromAsync(compactArchive(store, { targetBytes: 100_000 })), []);
    await put(store, run(101, 130));
    assert.equal((await Array.fromAsync(compactArchive(store, { targetBytes: 100_000 }))).length, 1);
    assert.equal((await keysOf(store)).length, 1);
  });

  test('keeps a gap to be seen, and what came before the first block', async () => {
    const store = new MemoryObjectStore();
    await put(store, run(5, 10), { after: 3 });
    await put(store, run(12, 20), { after: 10 });
    await put(store, run(31, 40), { after: 25 });
    await Array.fromAsync(compactArchive(store, { targetBytes: 100_000 }));
    const headers = (await Array.fromAsync(findBlocks(store, {}))).map(({ name }) => [name.firstSequence, name.lastSequence]);
    assert.deepEqual(headers, [
      [5, 20],
      [31, 40],
    ]);
    assert.deepEqual(await complaints(store), [['gap', 21, 25, true]]);
  });

  test('may be cut off anywhere: every message stays readable once, and the next run ends it', async () => {
    for (let calls = 0; ; calls++) {
      const store = new MemoryObjectStore();
      for (let at = 0; at < 6; at++) await put(store, run(at * 10 + 1, at * 10 + 12));
      const before = await sequences(store);
      const cut = cutAfter(store, calls);
      const ended = await Array.fromAsync(compactArchive(cut, { targetBytes: 100 })).then(
        () => true,
        () => false,
      );
      assert.deepEqual(await sequences(store), before, `cut after ${calls} calls`);
      await Array.fromAsync(compactArchive(store, { targetBytes: 100 }));
      assert.deepEqual(await sequences(store), before);
      if (ended) return;
    }
  });

  test('leaves a group with a damaged block as it is', async () => {
    const store = new MemoryObjectStore();
    const first = await put(store, run(1, 10));
    const block = await sealed(run(11, 20));
    const body = Buffer.from(block.body);
    body[body.length - 300]! ^= 1;
    await store.put(keyOf(block), body);
    const done = await Array.fromAsync(compactArchive(store, { targetBytes: 100_000 }));
    assert.deepEqual(
      done.map(({ is }) => is),
      ['left'],
    );
    assert.deepEqual(await keysOf(store), [first, keyOf(block)]);
  });
});

describe('pruning', () => {
  test('removes blocks that are older as a whole', async () => {
    const store = new MemoryObjectStore();
    const keys = [await put(store, run(1, 10)), await put(store, run(11, 20)), await put(store, run(21, 30))];
    const before = timeOf(message(20));
    assert.deepEqual(
      (await Array.fromAsync(pruneArchive(store, { before, dryRun: true }))).map(({ key }) => key),
      keys.slice(0, 1),
    );
    assert.deepEqual(await keysOf(store), keys);
    await Array.fromAsync(pruneArchive(store, { before }));
    assert.deepEqual(await keysOf(store), keys.slice(1));
    await Array.fromAsync(
      pruneArchive(store, { before: timeOf(message(1_000)), job: 'other', stream: origin.stream, prefix: '' }),
    );
    assert.deepEqual(await keysOf(store), keys.slice(1));
  });
});

/** The store, whose every call after so many fails: as a process that was killed. */
function cutAfter(store: MemoryObjectStore, calls: number): ObjectStore {
  let left = calls;
  return new Proxy(store, {
    get(target, property: keyof MemoryObjectStore) {
      const member = target[property];
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        if (left-- <= 0) throw new Error('killed');
        return Reflect.apply(member, target, args) as unknown;
      };
    },
  });
}
