import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  compactArchive,
  readArchive,
  storeBlock,
  timeOf,
  verifyArchive,
  type ArchiveMessage,
  type ReadOptions,
  type Selection,
} from '../../src/archive/index.ts';
import type { ObjectStore } from '../../src/core/strategy.ts';
import { subjectMatches } from '../../src/core/subject.ts';
import { MemoryObjectStore } from '../../src/objects/index.ts';
import { keyOf, message, origin, sealed } from '../support/blocks.ts';

const lives = ['2025-11-20T08:00:00.000000001Z', '2025-11-20T08:00:00.000000002Z'];
const subjects = ['a.b', 'a.c', 'd'];

type Stored = { life: number; job: string; from: number; messages: number; step: number };

/** Message `sequence` of a life is always the same, whichever block holds it. */
function messageOf(life: number, sequence: number): ArchiveMessage {
  return message(sequence, subjects[(sequence * 7 + life) % 3], `${life}/${sequence}`);
}

function messagesOf({ life, from, messages, step }: Stored): ArchiveMessage[] {
  return Array.from({ length: messages }, (_, at) => messageOf(life, from + at * step));
}

const anyStored: fc.Arbitrary<Stored> = fc.record({
  life: fc.constantFrom(0, 1),
  job: fc.constantFrom('job-1', 'job-2'),
  from: fc.integer({ min: 1, max: 60 }),
  messages: fc.integer({ min: 1, max: 30 }),
  step: fc.integer({ min: 1, max: 3 }),
});

async function fill(store: ObjectStore, blocks: readonly Stored[]): Promise<void> {
  for (const [at, stored] of blocks.entries()) {
    const format = at % 5 === 4 ? 'ndjson' : 'n3b';
    const options = { job: stored.job, streamCreated: lives[stored.life]!, partBytes: 200, format } as const;
    await storeBlock(store, '', await sealed(messagesOf(stored), options));
  }
}

async function read(store: ObjectStore, selection: Partial<Selection> = {}, options?: ReadOptions): Promise<string[]> {
  const found: string[] = [];
  for await (const { streamCreated, messages } of readArchive(store, { stream: origin.stream, ...selection }, options)) {
    for (const one of messages)
      found.push(`${lives.indexOf(streamCreated)}/${one.sequence} ${Buffer.from(one.payload).toString()}`);
  }
  return found;
}

/** What must come: every sequence of every life once, in order. */
function expected(
  blocks: readonly Stored[],
  wanted: (message: ArchiveMessage, stored: Stored) => boolean = () => true,
): string[] {
  const found = new Map<number, string>();
  for (const stored of blocks) {
    for (const one of messagesOf(stored)) {
      if (wanted(one, stored))
        found.set(stored.life * 1_000 + one.sequence, `${stored.life}/${one.sequence} ${stored.life}/${one.sequence}`);
    }
  }
  return [...found].sort(([a], [b]) => a - b).map(([, text]) => text);
}

describe('reading an archive', () => {
  const anyBlocks = fc.array(anyStored, { minLength: 1, maxLength: 8 });

  test('gives each message of each life of the stream once and in order, however blocks overlap', async () => {
    await fc.assert(
      fc.asyncProperty(anyBlocks, async (blocks) => {
        const store = new MemoryObjectStore();
        await fill(store, blocks);
        assert.deepEqual(await read(store), expected(blocks));
      }),
    );
  });

  test('gives just what is selected, from any position on', async () => {
    const bound = fc.option(fc.integer({ min: 1, max: 120 }), { nil: undefined });
    const selection = fc.record({
      fromSequence: bound,
      toSequence: bound,
      from: fc.option(
        fc.integer({ min: 1, max: 120 }).map((at) => timeOf(message(at))),
        { nil: undefined },
      ),
      to: fc.option(
        fc.integer({ min: 1, max: 120 }).map((at) => timeOf(message(at))),
        { nil: undefined },
      ),
      subjects: fc.constantFrom(undefined, ['a.*'], ['d', 'a.c'], ['>'], ['x']),
      jobs: fc.constantFrom(undefined, ['job-1']),
      streamCreated: fc.constantFrom(undefined, ...lives),
    });
    const position = fc.option(fc.record({ life: fc.constantFrom(0, 1), sequence: fc.nat({ max: 120 }) }), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(anyBlocks, selection, position, async (blocks, wanted, after) => {
        const store = new MemoryObjectStore();
        await fill(store, blocks);
        const options = after === undefined ? {} : { after: { streamCreated: lives[after.life]!, sequence: after.sequence } };
        const matches = (one: ArchiveMessage, { life, job }: Stored): boolean =>
          one.sequence >= (wanted.fromSequence ?? 0) &&
          one.sequence <= (wanted.toSequence ?? 1_000) &&
          timeOf(one) >= (wanted.from ?? 0n) &&
          (wanted.to === undefined || timeOf(one) < wanted.to) &&
          (wanted.subjects === undefined || wanted.subjects.some((pattern) => subjectMatches(pattern, one.subject))) &&
          (wanted.jobs === undefined || wanted.jobs.some((one) => one === job)) &&
          (wanted.streamCreated ?? lives[life]) === lives[life] &&
          (after === undefined || life > after.life || (life === after.life && one.sequence > after.sequence));
        assert.deepEqual(await read(store, wanted, options), expected(blocks, matches));
      }),
    );
  });

  test('reads large blocks part by part, and only the parts it needs', async () => {
    const store = new MemoryObjectStore();
    const text = 'x'.repeat(1_000);
    const messages = Array.from({ length: 9_000 }, (_, at) =>
      message(at + 1, at < 8_000 ? 'early' : 'late', `${at + 1} ${text}`),
    );
    const block = await sealed(messages, { compression: 'none', partBytes: 100_000 });
    await storeBlock(store, '', block);
    let bytes = 0;
    const get = store.get.bind(store);
    store.get = async (...args) => {
      const body = await get(...args);
      bytes += body?.length ?? 0;
      return body;
    };
    const all = await read(store);
    assert.equal(all.length, 9_000);
    bytes = 0;
    assert.equal((await read(store, { subjects: ['late'] })).length, 1_000);
    assert.ok(bytes < block.body.length / 6, `${bytes} of ${block.body.length} bytes read for a ninth of the messages`);
    bytes = 0;
    assert.equal((await read(store, { fromSequence: 5_000, toSequence: 5_000 })).length, 1);
    assert.ok(bytes < 200_000, `${bytes} bytes read for one message`);
  });

  test('ends at damage, or passes it over and says what is lost; what another block holds is not lost', async () => {
    const store = new MemoryObjectStore();
    const blocks = [
      { life: 0, job: 'job-1', from: 1, messages: 20, step: 1 },
      { life: 0, job: 'job-1', from: 21, messages: 20, step: 1 },
      { life: 0, job: 'job-2', from: 25, messages: 4, step: 1 },
    ];
    await fill(store, blocks);
    const block = await sealed(messagesOf(blocks[1]!), { streamCreated: lives[0]!, partBytes: 200 });
    const key = keyOf(block);
    const body = Buffer.from(block.body);
    body[Math.floor(body.length / 3)]! ^= 1;
    await store.put(key, body, { replace: true });
    await assert.rejects(
      read(store),
      (error: Error & { code?: string }) => error.code === 'ARCHIVE_DAMAGED' && error.message.includes(key),
    );
    const lost = new Set<number>();
    const found = await read(
      store,
      {},
      {
        onDamage: (error, { firstSequence, lastSequence }) => {
          assert.equal(error.key, key);
          for (let sequence = firstSequence; sequence <= lastSequence; sequence++) lost.add(sequence);
        },
      },
    );
    const sequences = found.map((text) => Number(/\d+\/(\d+)/.exec(text)![1]));
    assert.ok(lost.size > 0 && lost.size <= 20);
    assert.deepEqual(
      sequences,
      Array.from({ length: 40 }, (_, at) => at + 1).filter((one) => !lost.has(one) || (one >= 25 && one <= 28)),
    );
  });

  test('misses nothing when a compaction overtakes a long listing', async () => {
    const store = new MemoryObjectStore();
    const keys: string[] = [];
    for (let sequence = 1; sequence <= 1_010; sequence++) {
      keys.push((await storeBlock(store, '', await sealed([message(sequence)], { partBytes: 100, compression: 'none' }))).key);
    }
    const list = store.list.bind(store);
    let listings = 0;
    store.list = async function* (prefix, after, signal) {
      listings++;
      // As S3 does it: in pages, each of one moment. The compacted block is behind the first page, the old ones are on the second.
      const page = (await Array.fromAsync(list(prefix, after, signal))).slice(0, 1_000);
      yield* page;
      if (listings === 1) {
        await storeBlock(store, '', await sealed(Array.from({ length: 16 }, (_, at) => message(995 + at))));
        await store.remove(keys.slice(994));
      }
      yield* list(prefix, page.at(-1)!.key, signal);
    };
    const found = await read(store, { fromSequence: 1_001 });
    assert.deepEqual(
      found,
      Array.from({ length: 10 }, (_, at) => `0/${1_001 + at} m${1_001 + at}`),
    );
    assert.ok(listings > 1);
  });

  test('believes no damage that comes about on the way', async () => {
    for (const size of [100, 300_000]) {
      const store = new MemoryObjectStore();
      const messages = Array.from({ length: 20 }, (_, at) => message(at + 1, 'noise', `${at} ${'x'.repeat(size)}`));
      await storeBlock(store, '', await sealed(messages, { compression: 'none', partBytes: 1_000 }));
      const get = store.get.bind(store);
      const answered: { from: number; to: number }[] = [];
      store.get = async (key, range, signal) => {
        const body = await get(key, range, signal);
        const { from, to } = range ?? { from: 0, to: Infinity };
        // The first answer about a range has a wrong bit in its middle.
        if (body !== undefined && !answered.some((one) => one.from <= from && one.to >= to)) body[body.length >> 1]! ^= 1;
        answered.push({ from, to });
        return body;
      };
      assert.equal((await read(store)).length, 20);
      const findings = await Array.fromAsync(verifyArchive(store, {}));
      assert.deepEqual(
        findings.map(({ is }) => is),
        ['whole'],
      );
    }
  });

  test('goes on in the new blocks when a compaction takes the old ones away', async () => {
    const store = new MemoryObjectStore();
    const blocks = Array.from({ length: 12 }, (_, at) => ({ life: 0, job: 'job-1', from: at * 10 + 1, messages: 10, step: 1 }));
    await fill(
      store,
      blocks.filter((_, at) => at % 5 !== 4),
    );
    await fill(
      store,
      blocks.filter((_, at) => at % 5 === 4),
    );
    const found: number[] = [];
    let compacted = false;
    for await (const { messages } of readArchive(store, { stream: origin.stream })) {
      found.push(...messages.map(({ sequence }) => sequence));
      if (compacted) continue;
      compacted = true;
      await Array.fromAsync(compactArchive(store, { prefix: '', targetBytes: 1_000_000 }));
    }
    assert.deepEqual(
      found,
      Array.from({ length: 120 }, (_, at) => at + 1),
    );
  });
});
