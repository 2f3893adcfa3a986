import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '../../scripts/servers.ts';
import type { NatsLink } from '../../src/jetstream/index.ts';
import { change, type Cleanup, connectTo, gatewayProgram, publishFrame, readStream, settled } from '../support/gateway-stage.ts';
import { Proxy } from '../support/proxy.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { freshNats } from '../support/servers.ts';
import { until } from '../support/until.ts';

const withinMs = 30_000;
const random = new Random(seedOfRun('gateway-sides'));
const nowhere = 'nats://127.0.0.1:1';

type Check = { code: number | null; output: string };

async function check(flags: Record<string, string>): Promise<Check> {
  const gateway = gatewayProgram({ check: 'true', ...flags });
  gateway.start();
  const { code } = await gateway.ended();
  return { code, output: gateway.output };
}

async function streamsOf(link: NatsLink): Promise<string[]> {
  const names: string[] = [];
  for await (const name of link.manager.streams.names()) names.push(name);
  return names.sort();
}

async function server(t: Cleanup, port?: number) {
  const nats = await freshNats(port === undefined ? {} : { port });
  const link = await connectTo(nats.url);
  t.after(async () => {
    await link.close();
    await nats.stop();
  });
  return { nats, link, url: nats.url };
}

test('--check looks at each side, with the other away too, and changes nothing', async (t) => {
  const [a, b] = await Promise.all([server(t), server(t)]);
  const both = await check({ 'upstream-url': a.url, 'downstream-url': b.url, 'exclude-patterns': 'secret-*' });
  assert.equal(both.code, 0, both.output);
  assert.match(both.output, /ok {3}rules +0 field filters, 0 transforms, 0 routes/);
  assert.match(both.output, /ok {3}upstream +ES_CHANGES on .*: will be made/);
  assert.match(both.output, /ok {3}downstream +ES_CHANGES on .*: will be made/);
  const one = await check({ 'upstream-url': a.url });
  assert.match(one.output, /upstream +ES_CHANGES_RAW on .*\n.*downstream +ES_CHANGES on/);
  const withoutDownstream = await check({ 'upstream-url': a.url, 'downstream-url': nowhere });
  assert.equal(withoutDownstream.code, 1);
  assert.match(withoutDownstream.output, /FAIL downstream +.*127\.0\.0\.1:1/);
  assert.match(withoutDownstream.output, /ok {3}upstream +ES_CHANGES on/);
  const withoutUpstream = await check({ 'upstream-url': nowhere, 'downstream-url': b.url });
  assert.equal(withoutUpstream.code, 1);
  assert.match(withoutUpstream.output, /FAIL upstream +.*127\.0\.0\.1:1/);
  assert.match(withoutUpstream.output, /ok {3}downstream +ES_CHANGES on/);
  assert.deepEqual([await streamsOf(a.link), await streamsOf(b.link)], [[], []]);
});

test('--check finds what would keep the gateway from starting, and what an embedded one lacks', async (t) => {
  const { link, url } = await server(t);
  await link.manager.streams.add({ name: 'ES_CHANGES', subjects: ['es.>'], discard: 'new', max_bytes: 2 ** 24 });
  await publishFrame(link, 'one', [change('a', 1)]);
  const taken = await check({ 'upstream-url': url });
  assert.equal(taken.code, 1);
  assert.match(taken.output, /FAIL downstream +stream ES_CHANGES takes es\.> itself and holds 1 messages/);
  await link.manager.streams.delete('ES_CHANGES');
  await link.manager.streams.add({ name: 'ES_CHANGES', subjects: ['es.>'], retention: 'workqueue' });
  const odd = await check({ embedded: 'true', 'nats-binary': process.execPath, 'downstream-url': url });
  assert.equal(odd.code, 1);
  assert.match(odd.output, /ok {3}NATS server +\S+node, store in \/data\/jetstream/);
  assert.match(odd.output, /ok {3}upstream +the embedded server/);
  assert.match(odd.output, /FAIL downstream +stream ES_CHANGES cannot be used: its retention is workqueue/);
});

for (const away of ['upstream', 'downstream'] as const) {
  test(`it starts with ${away} away, says so, and works once that is there`, async (t) => {
    const there = await server(t);
    const port = await freePort();
    const missing = `nats://127.0.0.1:${port}`;
    const urls = away === 'upstream' ? [missing, there.url] : [there.url, missing];
    const gateway = gatewayProgram({ 'upstream-url': urls[0]!, 'downstream-url': urls[1]! });
    t.after(async () => void (await gateway.stop()));
    gateway.start();
    await until(
      'readiness to name the server',
      async () => {
        const { status, body } = await gateway.get('/health/ready');
        return status === 503 && body.includes(`127.0.0.1:${port}`);
      },
      { withinMs },
    );
    assert.equal((await gateway.get('/health/live')).status, 200);
    const late = await server(t, port);
    await gateway.ready();
    const [upstream, downstream] = away === 'upstream' ? [late, there] : [there, late];
    await publishFrame(upstream.link, 'one', [change('a', 1)]);
    await settled(upstream.link, 'ES_CHANGES');
    assert.equal((await readStream(downstream.link, 'ES_CHANGES')).length, 1);
  });
}

test('it is stopped while one side is away', async (t) => {
  const { url } = await server(t);
  const gateway = gatewayProgram({ 'upstream-url': url, 'downstream-url': nowhere });
  gateway.start();
  await until('the wait', async () => (await gateway.get('/health/ready')).body.includes('127.0.0.1:1'), { withinMs });
  assert.equal((await gateway.stop()).code, 0, gateway.tail());
});

test('a stream of changes that is in use stays as it is where the output has another name', async (t) => {
  const { link, url } = await server(t);
  await link.manager.streams.add({ name: 'ES_CHANGES', subjects: ['es.>'], discard: 'new', max_bytes: 2 ** 24 });
  await publishFrame(link, 'one', [change('a', 1)]);
  const flags = { 'upstream-stream': 'ES_CHANGES', 'downstream-stream': 'ES_FILTERED', 'exclude-patterns': 'secret-*' };
  const gateway = gatewayProgram({ 'upstream-url': url, ...flags });
  t.after(async () => void (await gateway.stop()));
  await gateway.startReady();
  await publishFrame(link, 'two', [change('secret-a', 1)]);
  await publishFrame(link, 'three', [change('a', 2)]);
  await settled(link, 'ES_CHANGES');
  const passed = await readStream(link, 'ES_FILTERED');
  assert.deepEqual(
    passed.map(({ subject, id }) => [subject, id]),
    [
      ['es.t.a.index', 'one'],
      ['es.t.a.index', 'three'],
    ],
  );
});

/** Frames of one subject, `f0` and so on, on their way through a gateway between two servers. */
async function traffic(t: Cleanup) {
  const [a, b] = await Promise.all([server(t), server(t)]);
  const proxy = await Proxy.to(b.url);
  const gateway = gatewayProgram({ 'upstream-url': a.url, 'downstream-url': proxy.url('nats'), 'ack-wait': '2s' });
  t.after(async () => {
    await gateway.stop();
    await proxy.close();
  });
  await gateway.startReady();
  let published = 0;
  const publish = async (count: number): Promise<void> => {
    for (const end = published + count; published < end; published++) {
      const send = (): Promise<number> => publishFrame(a.link, `f${published}`, [change('a', published)]);
      await until(`frame ${published} to be stored upstream`, send, { withinMs });
    }
  };
  const arrived = async (): Promise<number> => (await b.link.manager.streams.info('ES_CHANGES')).state.messages;
  /** Publishes, with the fault in the middle of what arrives. */
  const publishAround = async (count: number, fault: () => Promise<void> | void): Promise<void> => {
    const goal = (await until('the stream downstream', arrived, { withinMs })) + random.between(5, count / 2);
    const strike = async (): Promise<void> => {
      await until(`${goal} messages downstream`, async () => (await arrived()) >= goal, { withinMs, everyMs: 5 });
      await fault();
    };
    await Promise.all([publish(count), strike()]);
  };
  /** The numbers of the frames in the order in which they stand downstream in the end, and in the order of the stream upstream. */
  const numbers = async (): Promise<{ there: number[]; inOrder: number[] }> => {
    await settled(a.link, 'ES_CHANGES', 60_000);
    const there = (await readStream(b.link, 'ES_CHANGES')).map(({ id }) => Number(id?.slice(1)));
    return { there, inOrder: Array.from({ length: published }, (_, n) => n) };
  };
  return { a, b, proxy, gateway, publish, publishAround, numbers };
}

test('messages of a subject keep their order through cuts of the link downstream and kills of the server there', async (t) => {
  const { b, proxy, publishAround, numbers } = await traffic(t);
  const cut = (): void => proxy.apply('cut', random);
  const cutLater = (): void => proxy.apply('cutLater', random);
  const kill = async (): Promise<void> => {
    await b.nats.kill('SIGKILL');
    await b.nats.restart();
  };
  for (const fault of [cut, cutLater, kill, cut, kill, cutLater]) await publishAround(100, fault);
  const { there, inOrder } = await numbers();
  assert.deepEqual(there, inOrder);
});

test('after a kill of the gateway or of the server upstream only what was under way may come late, and nothing twice', async (t) => {
  const { a, b, gateway, publish, publishAround, numbers } = await traffic(t);
  const underWay = new Set<number>();
  const consumer = () => a.link.manager.consumers.info('ES_CHANGES', 'nats-gateway');
  /** Frame 0 has sequence 1. */
  const noteUnderWay = (acknowledged: number, delivered: number): void => {
    for (let frame = acknowledged; frame < delivered; frame++) underWay.add(frame);
  };
  const killUpstream = async (): Promise<void> => {
    const { ack_floor } = await consumer();
    await a.nats.kill('SIGKILL');
    await a.nats.restart();
    const { delivered } = await until('the consumer', consumer, { withinMs });
    noteUnderWay(ack_floor.stream_seq, delivered.stream_seq);
  };
  for (let round = 0; round < 2; round++) {
    await publish(100);
    await b.nats.kill('SIGKILL');
    await publish(20);
    await until('messages that the gateway holds', async () => (await consumer()).num_ack_pending >= 20, { withinMs });
    await gateway.kill();
    const { ack_floor, delivered } = await consumer();
    noteUnderWay(ack_floor.stream_seq, delivered.stream_seq);
    await b.nats.restart();
    await publish(20);
    await gateway.startReady();
    await publishAround(100, killUpstream);
  }
  const { there, inOrder } = await numbers();
  assert.deepEqual(new Set(there), new Set(inOrder));
  assert.equal(there.length, inOrder.length);
  const others = (frames: readonly number[]): number[] => frames.filter((frame) => !underWay.has(frame));
  assert.deepEqual(others(there), others(inOrder));
  assert.ok(underWay.size >= 40 && others(inOrder).length >= 100, `${underWay.size} of ${inOrder.length} were under way`);
});
