import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChangeEvent } from '../../src/core/event.ts';
import { ChangeBlock } from '../../src/core/change-block.ts';
import { encodeEnvelope, readChanges } from '../../src/core/envelope.ts';
import type { Message, Outcome } from '../../src/core/strategy.ts';
import { LateWrites, type LateWritesParts } from '../../src/es-writer/late.ts';
import { isBlock, type WriteBlock, type WriteItem } from '../../src/es-writer/open.ts';
import { Target } from '../../src/es-writer/target.ts';
import { MemoryTarget } from '../support/memory-target.ts';

const horizonMs = 1_000;

function change(id: string, version: number, more: Partial<ChangeEvent> = {}): ChangeEvent {
  return {
    tenant: 'a',
    index: 'b',
    id,
    op: 'index',
    version,
    seqNo: 0,
    primaryTerm: 1,
    ts: 0,
    source: Buffer.from('{}'),
    ...more,
  };
}

function messageOf(event: ChangeEvent, sequence: number): Message {
  return {
    subject: `es.a.${event.index}.${event.op}`,
    headers: new Map(),
    payload: encodeEnvelope(event),
    sequence,
    timestamp: 0,
    deliveries: 1,
  };
}

function remove(id: string, version: number, routing?: string): ChangeEvent {
  const { source: _, ...rest } = change(id, version, routing === undefined ? {} : { routing });
  return { ...rest, op: 'delete' };
}

function itemOf(event: ChangeEvent, sequence: number, freshAt: number): WriteItem {
  return { event, message: messageOf(event, sequence), freshAt };
}

/** A stream of deletes, and a clock that moves when it is told to. */
function setUp(more: Partial<LateWritesParts> = {}) {
  const stream: Message[] = [];
  const scans: { subject: string; after: number; read: number }[] = [];
  const clock = { now: 100_000 };
  const late = new LateWrites({
    async scan(subject, after, onMessage) {
      const lastSequence = stream.at(-1)?.sequence ?? 0;
      const found = stream.filter((message) => message.subject === subject && message.sequence > after);
      for (const message of found) await onMessage(message);
      scans.push({ subject, after, read: found.length });
      return { scanned: found.length, lastSequence };
    },
    horizonMs: () => horizonMs,
    filterSubjects: [],
    now: () => clock.now,
    ...more,
  });
  return { stream, scans, clock, late };
}

test('a write is late once its time is over, a delete never', () => {
  const { late, clock } = setUp();
  assert.ok(!late.isLate(itemOf(change('1', 1), 1, clock.now - horizonMs)));
  assert.ok(late.isLate(itemOf(change('1', 1), 1, clock.now - horizonMs - 1)));
  assert.ok(!late.isLate(itemOf(remove('1', 1), 1, 0)));
});

test('of late writes, those deleted since are told, by id, routing and version', async () => {
  const { late, stream, scans, clock } = setUp();
  stream.push(messageOf(remove('gone', 11), 20), messageOf(remove('routed', 11, 'x'), 21), messageOf(remove('old', 9), 22));
  const items = [
    itemOf(change('gone', 10), 5, 0),
    itemOf(change('stays', 10), 6, 0),
    itemOf(change('routed', 10), 7, 0),
    itemOf(change('routed', 10, { routing: 'x' }), 8, 0),
    itemOf(change('old', 10), 9, 0),
    itemOf(change('gone', 12), 30, 0),
  ];
  const deleted = await late.deletedSince(items);
  assert.deepEqual([...deleted], [items[0], items[3]]);
  assert.deepEqual(scans, [{ subject: 'es.a.b.delete', after: 5, read: 3 }], 'one look for all of an index');
  for (const item of items) assert.equal(item.freshAt, clock.now);
  assert.ok(!items.some((item) => late.isLate(item)), 'they have their time again');
});

test('a second look reads on from the first, a look further back reads again', async () => {
  const { late, stream, scans, clock } = setUp();
  stream.push(messageOf(remove('x', 11), 20));
  await late.deletedSince([itemOf(change('x', 10), 5, 0)]);
  stream.push(messageOf(remove('y', 11), 21));
  clock.now += 10;
  assert.equal((await late.deletedSince([itemOf(change('x', 10), 8, 0), itemOf(change('y', 10), 9, 0)])).size, 2);
  assert.equal((await late.deletedSince([itemOf(change('x', 10), 3, 0)])).size, 1);
  assert.deepEqual(
    scans.map(({ after, read }) => [after, read]),
    [
      [5, 1],
      [20, 1],
      [3, 2],
    ],
  );
});

test('looks at one index go one after the other, others beside them', async () => {
  const release = Promise.withResolvers<void>();
  const running: string[] = [];
  const { late } = setUp({
    async scan(subject) {
      running.push(subject);
      if (subject.includes('.b.')) await release.promise;
      return { scanned: 0, lastSequence: 0 };
    },
  });
  const first = late.deletedSince([itemOf(change('1', 1), 1, 0)]);
  const second = late.deletedSince([itemOf(change('2', 1), 1, 0)]);
  await late.deletedSince([itemOf(change('3', 1, { index: 'other' }), 1, 0)]);
  assert.deepEqual(running, ['es.a.b.delete', 'es.a.other.delete']);
  release.resolve();
  await Promise.all([first, second]);
  assert.equal(running.length, 3);
});

test('a look that takes longer than half the horizon is repeated for what was published meanwhile', async () => {
  const { stream, clock, late: _ } = setUp();
  let looks = 0;
  const { late } = setUp({
    now: () => clock.now,
    async scan(_subject, after, onMessage) {
      looks++;
      const found = stream.filter((message) => message.sequence > after);
      for (const message of found) await onMessage(message);
      const lastSequence = stream.at(-1)?.sequence ?? after;
      if (looks === 1) {
        clock.now += horizonMs;
        stream.push(messageOf(remove('x', 11), 40));
      }
      return { scanned: found.length, lastSequence };
    },
  });
  const item = itemOf(change('x', 10), 5, 0);
  assert.deepEqual([...(await late.deletedSince([item]))], [item]);
  assert.equal(looks, 2);
});

test('deletes that the consumer does not take are not looked for', async () => {
  const { late, scans, stream } = setUp({ filterSubjects: ['es.*.*.index', 'es.*.*.update'] });
  stream.push(messageOf(remove('x', 11), 20));
  assert.equal((await late.deletedSince([itemOf(change('x', 10), 5, 0)])).size, 0);
  assert.deepEqual(scans, []);
});

test('more deletes than are remembered do not hide the one that is wanted', async () => {
  const count = 300;
  let looks = 0;
  const { late } = setUp({
    deletesMax: 100,
    async scan(_subject, after, onMessage) {
      looks++;
      if (after >= count) return { scanned: 0, lastSequence: count };
      const lines: Buffer[] = [];
      for (let n = 0; n < count; n++) lines.push(encodeEnvelope(remove(`filler-${n}`, 11)));
      lines.push(encodeEnvelope(remove('wanted', 11)));
      await onMessage({ ...messageOf(remove('x', 1), count), payload: Buffer.concat(lines) });
      return { scanned: 1, lastSequence: count };
    },
  });
  const item = itemOf(change('wanted', 10), 5, 0);
  assert.deepEqual([...(await late.deletedSince([item]))], [item]);
  assert.equal((await late.deletedSince([itemOf(change('wanted', 10), 6, 0)])).size, 1);
  assert.equal(looks, 2, 'what could not be kept whole is read again');
});

/** A target whose every part is handed in, with what it told. */
function target(late: LateWrites, writer = new MemoryTarget()) {
  const told: { written: number; stale: number }[] = [];
  const delivery = new Target({
    writer,
    late,
    prepare: () => Promise.resolve(),
    hosts: ['http://localhost:9200'],
    onOutcomes: () => {},
    onLate: (counts) => told.push(counts),
  });
  return { delivery, writer, told };
}

test('a late write of a document that was deleted since is stale, and is not written', async () => {
  const { late, stream, clock } = setUp();
  const { delivery, writer, told } = target(late);
  stream.push(messageOf(remove('gone', 11), 20));
  const items = [itemOf(change('fresh', 1), 3, clock.now), itemOf(change('gone', 10), 4, 0), itemOf(change('late', 10), 5, 0)];
  const outcomes = await delivery.deliver(items);
  assert.deepEqual(
    outcomes.map((outcome) => outcome.is),
    ['stored', 'stale', 'stored'],
  );
  assert.equal(writer.source('b', 'gone'), undefined);
  assert.equal(writer.source('b', 'late'), '{}');
  assert.deepEqual(told, [{ written: 1, stale: 1 }]);
});

test('late writes wait while the stream cannot be searched, the others go on', async () => {
  const { late, clock } = setUp({ scan: () => Promise.reject(new Error('no answer')) });
  const { delivery, writer } = target(late);
  const outcomes = await delivery.deliver([itemOf(change('late', 10), 5, 0), itemOf(change('fresh', 1), 3, clock.now)]);
  assert.deepEqual(
    outcomes.map((outcome) => outcome.is),
    ['busy', 'stored'],
  );
  assert.equal(writer.source('b', 'late'), undefined);
});

test('a target that answers for no document at all is an obstacle, not a fault of the documents', async () => {
  const { late, clock } = setUp();
  const { delivery, writer } = target(late);
  const unanswered: Outcome = { is: 'busy', status: 0, reason: 'connection refused' };
  writer.fault = () => unanswered;
  await assert.rejects(delivery.deliver([itemOf(change('1', 1), 1, clock.now)]), /connection refused/);
  writer.fault = (event) => (event.id === '1' ? unanswered : undefined);
  const outcomes = await delivery.deliver([itemOf(change('1', 1), 1, clock.now), itemOf(change('2', 1), 1, clock.now)]);
  assert.deepEqual(
    outcomes.map((outcome) => outcome.is),
    ['busy', 'stored'],
  );
});

test('a missing privilege is an obstacle too, and never a dead letter', async () => {
  const { late, clock } = setUp();
  const { delivery, writer } = target(late);
  writer.fault = () => ({ is: 'refused', refusal: { status: 403, type: 'security_exception', reason: 'not for you' } });
  await assert.rejects(delivery.deliver([itemOf(change('1', 1), 1, clock.now)]), /security_exception: not for you/);
});

test('a change whose document could not be fetched is refused and not written', async () => {
  const { late, clock } = setUp();
  const { delivery, writer } = target(late);
  const refusal = { status: 0, type: 'DOCUMENT_MISSING', reason: 'gone' };
  const outcomes = await delivery.deliver([
    { ...itemOf(change('1', 1), 1, clock.now), refusal },
    itemOf(change('2', 1), 2, clock.now),
  ]);
  assert.deepEqual(outcomes, [{ is: 'refused', refusal }, { is: 'stored' }]);
  assert.equal(writer.source('b', '1'), undefined);
});

/** Changes of one message that travel together. */
function blockOf(ids: readonly string[], sequence: number, freshAt: number): WriteBlock {
  const [block] = readChanges(Buffer.concat(ids.map((id) => encodeEnvelope(change(id, 10)))));
  assert.ok(block instanceof ChangeBlock);
  return { block, bytes: 1, message: messageOf(change(ids[0]!, 10), sequence), freshAt };
}

test('a block is done or busy as a whole, and otherwise becomes what is left of it', async () => {
  const { late, clock } = setUp();
  const { delivery, writer } = target(late);
  const busy: Outcome = { is: 'busy', status: 429, reason: 'too many' };
  const refused: Outcome = { is: 'refused', refusal: { status: 400, type: 'mapper', reason: 'no' } };
  const fates = new Map<string, Outcome>([
    ['c', busy],
    ['d', refused],
    ['f', busy],
    ['g', busy],
  ]);
  writer.fault = ({ id }) => fates.get(id);
  const blocks = [
    ['a', 'b'],
    ['c', 'd', 'e'],
    ['f', 'g'],
  ].map((ids, at) => blockOf(ids, at + 1, clock.now));
  const [done, apart, waiting] = await delivery.deliver(blocks);
  assert.deepEqual(done, { is: 'stored' });
  assert.deepEqual(waiting, busy);
  assert.ok(apart?.is === 'split');
  assert.deepEqual(
    apart.parts.map(({ item, outcome }) => [isBlock(item) ? '' : item.event.id, outcome]),
    [
      ['c', busy],
      ['d', refused],
    ],
  );
  const written = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].filter((id) => writer.source('b', id) !== undefined);
  assert.deepEqual(written, ['a', 'b', 'e']);
});

test('of a late block, what was deleted since is not written', async () => {
  const { late, stream } = setUp();
  const { delivery, writer, told } = target(late);
  stream.push(messageOf(remove('b', 11), 20));
  const block = blockOf(['a', 'b'], 5, 0);
  assert.deepEqual(await delivery.deliver([block]), [{ is: 'stored' }]);
  assert.equal(writer.source('b', 'a'), '{}');
  assert.equal(writer.source('b', 'b'), undefined);
  assert.deepEqual(told, [{ written: 1, stale: 1 }]);
  assert.ok(!late.isLate(block), 'it was looked at');
});
