import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { GatewayError } from '../../src/core/errors.ts';
import {
  Chain,
  openOrderedSource,
  streamIdentity,
  type ChainMessage,
  type Mark,
  type NatsLink,
  type OrderedSource,
} from '../../src/jetstream/index.ts';
import { linkTo, uniqueName } from '../support/archive-stage.ts';
import { Proxy } from '../support/proxy.ts';
import { sharedNats } from '../support/servers.ts';
import { until } from '../support/until.ts';

let url: string;
let link: NatsLink;

before(async () => {
  ({ url } = await sharedNats());
  link = await linkTo(url);
});

after(() => link.close());

type Retention = 'limits' | 'interest';

async function filled(count: number, retention: Retention = 'limits'): Promise<string> {
  const stream = uniqueName('B');
  await link.manager.streams.add({ name: stream, subjects: [`${stream}.>`], retention });
  // Somebody is interested in what nobody has read yet.
  if (retention === 'interest') await link.manager.consumers.add(stream, { durable_name: 'other', ack_policy: 'explicit' });
  await more(stream, count);
  return stream;
}

async function more(stream: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) link.connection.publish(`${stream}.${i % 3}`, `payload ${i}`);
  await link.connection.flush();
}

type Reading = {
  source: OrderedSource;
  seen: number[];
  acknowledged: number[];
  warnings: string[];
  ended: Promise<GatewayError>;
};

async function reading(
  on: NatsLink,
  stream: string,
  more: { durable?: number; oldServer?: boolean; windowMessages?: number } = {},
): Promise<Reading> {
  const [seen, acknowledged, warnings]: [number[], number[], string[]] = [[], [], []];
  const ended = Promise.withResolvers<GatewayError>();
  const source = await openOrderedSource(
    on,
    {
      stream,
      streamCreated: (await streamIdentity(link, stream))!.created,
      consumer: `c-${stream}`,
      filterSubjects: ['>'],
      durable: 0,
      windowMessages: 10_000,
      windowBytes: 8 * 2 ** 20,
      ...more,
    },
    {
      onMessage: ({ sequence }) => seen.push(sequence),
      onAcknowledged: (sequence) => acknowledged.push(sequence),
      onWarning: ({ code }) => warnings.push(code),
      onEnd: ended.resolve,
    },
  );
  return { source, seen, acknowledged, warnings, ended: ended.promise };
}

async function consumersOf(stream: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of link.manager.consumers.list(stream)) names.push(name);
  return names;
}

const upTo = (last: number, first = 1): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const has = (numbers: readonly number[], last: number): Promise<boolean> =>
  until(`message ${last}`, () => numbers.at(-1) === last, { withinMs: 20_000 });

async function floorOf(stream: string): Promise<number> {
  return (await link.manager.consumers.info(stream, `c-${stream}`)).ack_floor.stream_seq;
}

describe('an ordered source', () => {
  it('acknowledges a thousand messages with one answer, and stands still at its window', async () => {
    const stream = await filled(3_000);
    const { source, seen, acknowledged } = await reading(link, stream, { windowMessages: 1_000 });
    await until('a full window', () => source.outstanding.messages >= 875, { withinMs: 20_000 });
    assert.ok(source.outstanding.messages <= 1_000);
    const marks: Mark[] = [];
    while (seen.length < 3_000) {
      const { messages } = source.outstanding;
      marks.push(source.mark());
      source.settle(marks.at(-1)!);
      await until('more', () => seen.length === 3_000 || source.outstanding.messages !== messages, { withinMs: 20_000 });
    }
    source.settle(source.mark());
    await source.confirmed();
    assert.deepEqual(seen, upTo(3_000));
    assert.equal(await floorOf(stream), 3_000);
    assert.equal(acknowledged.at(-1), 3_000);
    await source.stop();
  });

  const kinds: { where: string; retention: Retention; oldServer: boolean }[] = [
    { where: 'by a reader of its own', retention: 'limits', oldServer: false },
    { where: 'where acknowledgements decide what is kept', retention: 'interest', oldServer: false },
    { where: 'on an old server', retention: 'limits', oldServer: true },
  ];
  for (const { where, retention, oldServer } of kinds) {
    it(`gives what was not acknowledged again, in order, before anything new, ${where}`, async () => {
      const stream = await filled(1_000, retention);
      const first = await reading(link, stream, { oldServer });
      await has(first.seen, 1_000);
      await first.source.stop();
      await more(stream, 500);
      const second = await reading(link, stream, { oldServer, durable: 400 });
      await has(second.seen, 1_500);
      assert.deepEqual(second.seen, upTo(1_500, 401), 'what is durable already is passed over');
      await until('the durable part acknowledged', async () => (await floorOf(stream)) === 400, { withinMs: 20_000 });
      second.source.settle(second.source.mark());
      await second.source.confirmed();
      assert.equal(await floorOf(stream), 1_500);
      await second.source.stop();
      const left = (await consumersOf(stream)).filter((name) => name !== 'other');
      assert.deepEqual(left, [`c-${stream}`], 'the reader is gone');
    });
  }

  it('goes on exactly after the connection was cut, with what was settled meanwhile', async () => {
    const stream = await filled(1_000);
    const proxy = await Proxy.to(url);
    const cutLink = await linkTo(proxy.url('nats'));
    const { source, seen } = await reading(cutLink, stream);
    await has(seen, 1_000);
    const early = source.mark();
    for (let round = 0; round < 5; round++) {
      proxy.cut();
      await more(stream, 200);
      await has(seen, 1_200 + 200 * round);
    }
    source.settle(early);
    source.settle(source.mark());
    await until('all acknowledged', async () => (await floorOf(stream)) === 2_000, { withinMs: 20_000 });
    assert.deepEqual(seen, upTo(2_000));
    await source.stop();
    await cutLink.close();
    await proxy.close();
  });

  it('acknowledges for itself once its stream lets acknowledged messages go', async () => {
    const stream = await filled(500);
    const proxy = await Proxy.to(url);
    const cutLink = await linkTo(proxy.url('nats'));
    const { source, seen } = await reading(cutLink, stream);
    await has(seen, 500);
    source.settle(source.mark());
    await link.manager.streams.update(stream, { retention: 'interest' } as object);
    await more(stream, 500);
    await has(seen, 1_000);
    proxy.cut();
    await more(stream, 500);
    await has(seen, 1_500);
    assert.deepEqual(seen, upTo(1_500));
    assert.equal((await link.manager.streams.info(stream)).state.messages, 1_000, 'what was not settled is there');
    assert.deepEqual(await consumersOf(stream), [`c-${stream}`]);
    source.settle(source.mark());
    await until('all acknowledged', async () => (await floorOf(stream)) === 1_500, { withinMs: 20_000 });
    await source.stop();
    await cutLink.close();
    await proxy.close();
  });

  it('ends when its stream was made anew', async () => {
    const stream = await filled(10);
    const { ended, seen } = await reading(link, stream);
    await has(seen, 10);
    await link.manager.streams.delete(stream);
    await link.manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
    assert.match((await ended).code, /STREAM_(RECREATED|MISSING)/);
  });
});

function message(stream: string, number: number): ChainMessage {
  return {
    subject: `${stream}.x`,
    idPrefix: 'id.',
    idNumber: number,
    ownLines: Buffer.from(`N: ${number}\r\n`),
    lines: Buffer.alloc(0),
    bytes: Buffer.from(String(number)),
    payloadAt: 0,
    payloadEnd: String(number).length,
  };
}

function chainOn(stream: string, lastSequence: number, mode: 'linked' | 'apart' = 'linked') {
  const stored: [number, number][] = [];
  const failed = Promise.withResolvers<GatewayError>();
  const chain = new Chain<number>(
    link,
    { stream, mode, lastSequence },
    { onStored: (tag, sequence) => stored.push([tag, sequence]), onFailed: failed.resolve },
  );
  return { chain, stored, failed: failed.promise };
}

const messagesIn = async (stream: string): Promise<number> => (await link.manager.streams.info(stream)).state.messages;

describe('a chain of publishes', () => {
  for (const mode of ['linked', 'apart'] as const) {
    it(`stores all in order, ${mode}`, async () => {
      const stream = await filled(5);
      const { chain, stored } = chainOn(stream, 5, mode);
      for (let number = 1; number <= 2_000; number++) {
        if (!chain.hasRoom) await chain.room();
        chain.add(message(stream, number), number);
      }
      await chain.idle();
      assert.deepEqual(stored.at(-1), [2_000, 2_005]);
      assert.ok(mode === 'apart' ? stored.length === 2_000 : stored.length < 40, `${stored.length} answers`);
      for (const number of [1, 999, 2_000]) {
        const found = await link.manager.streams.getMessage(stream, { seq: number + 5 });
        assert.equal(found!.string(), String(number));
        assert.equal(found!.header.get('N'), String(number));
      }
      chain.close();
    });
  }

  it('stores nothing behind a message of somebody else, or before its turn', async () => {
    const stream = await filled(5);
    const late = chainOn(stream, 4);
    late.chain.add(message(stream, 1), 1);
    assert.equal((await late.failed).code, 'CHAIN_BROKEN');
    const { chain, failed } = chainOn(stream, 5);
    chain.add(message(stream, 1), 1);
    await chain.idle();
    await link.jetstream.publish(`${stream}.y`, 'somebody else');
    for (let number = 2; number <= 50; number++) chain.add(message(stream, number), number);
    assert.equal((await failed).code, 'CHAIN_BROKEN');
    assert.equal(await messagesIn(stream), 7, 'five, one of ours, and the other’s');
  });

  it('keeps out a second publisher of the same messages', async () => {
    const stream = await filled(0);
    const [one, two] = [chainOn(stream, 0), chainOn(stream, 0)];
    for (let number = 1; number <= 300; number++) for (const { chain } of [one, two]) chain.add(message(stream, number), number);
    await Promise.all([Promise.race([one.chain.idle(), one.failed]), Promise.race([two.chain.idle(), two.failed])]);
    assert.equal(await messagesIn(stream), 300);
  });

  it('says why a message cannot be stored at all', async () => {
    const stream = await filled(0);
    await link.manager.streams.update(stream, { max_msg_size: 1_000 });
    const { chain, failed } = chainOn(stream, 0);
    chain.add({ ...message(stream, 1), bytes: Buffer.alloc(2_000), payloadEnd: 2_000 }, 1);
    assert.equal((await failed).code, 'MESSAGE_TOO_LARGE');
    const other = chainOn(stream, 0);
    other.chain.add({ ...message(stream, 1), bytes: Buffer.alloc(link.maxPayload), payloadEnd: link.maxPayload }, 1);
    assert.equal((await other.failed).code, 'MESSAGE_TOO_LARGE');
  });
});
