import assert from 'node:assert/strict';
import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import { headers as newHeaders, nanos, type MsgHdrs } from '@nats-io/transport-node';
import { findStream, type NatsLink } from '../../src/jetstream/index.ts';
import { until } from './until.ts';
import type { Random } from './random.ts';

export type Given = { subject: string; headers: readonly (readonly [string, string])[]; payload: Buffer };
export type Read = Given & { sequence: number; time: string; all: ReadonlyMap<string, string> };

const names = ['Content-Type', 'X-Trace', 'traceparent', 'Odd.Name', 'X-Repeated'];
const values = ['a', 'text/plain; charset=utf-8', 'größer', 'with: colon', '', '日本語', 'x'.repeat(300)];
const words = 'orders are shipped by road and rail while customers wait for answers that arrive late or never at all'.split(' ');

/** Messages of every kind: empty ones, text, binary, some large; with headers, repeated ones and such as the server acts upon. */
export function mixedMessages(random: Random, count: number, subjects: readonly string[]): Given[] {
  return Array.from({ length: count }, (_, at) => ({
    subject: random.pick(subjects),
    headers: random.chance(0.3) ? mixedHeaders(random, `${random.seed}/${at}`) : [],
    payload: mixedPayload(random),
  }));
}

function mixedHeaders(random: Random, id: string): [string, string][] {
  const lines = Array.from({ length: random.between(1, 4) }, (): [string, string] => [random.pick(names), random.pick(values)]);
  if (random.chance(0.2)) lines.push(['Nats-Msg-Id', id]);
  if (random.chance(0.05)) lines.push(['Nats-Expected-Stream', 'replaced']);
  return lines;
}

function mixedPayload(random: Random): Buffer {
  const kind = random.weighted({ empty: 5, text: 80, binary: 14, large: 0.3 });
  if (kind === 'empty') return Buffer.alloc(0);
  if (kind === 'text') return Buffer.from(Array.from({ length: random.between(1, 80) }, () => random.pick(words)).join(' '));
  const bytes = Buffer.alloc(kind === 'large' ? random.between(100_000, 300_000) : random.between(1, 600));
  for (let at = 0; at < bytes.length; at++) bytes[at] = random.next() & 0xff;
  return bytes;
}

/** Publishes them in this order, and returns when the stream has all. */
export async function publishAll(link: NatsLink, stream: string, messages: readonly Given[]): Promise<void> {
  // A server that has just come back may not answer the first time.
  const held = async (): Promise<number> => (await findStream(link, stream))!.state.messages;
  const before = await until(`stream ${stream}`, async () => ({ messages: await held() }), { withinMs: 60_000 });
  for (const [at, message] of messages.entries()) {
    const { subject, payload } = message;
    if (message.headers.length === 0) link.connection.publish(subject, payload);
    else link.connection.publish(subject, payload, { headers: headersOf(message, stream) });
    if (at % 2_000 === 1_999) await link.connection.flush();
  }
  await link.connection.flush();
  const has = async (): Promise<boolean> => (await held()) >= before.messages + messages.length;
  await until(`${messages.length} messages in ${stream}`, has, { withinMs: 60_000 });
}

function headersOf({ headers }: Given, stream: string): MsgHdrs {
  const found = newHeaders();
  for (const [name, value] of headers) found.append(name, name === 'Nats-Expected-Stream' ? stream : value);
  return found;
}

/** Everything that a stream holds, in order. */
export async function readAll(link: NatsLink, stream: string): Promise<Read[]> {
  const { state } = (await findStream(link, stream))!;
  const found: Read[] = [];
  if (state.messages === 0) return found;
  const { name } = await link.manager.consumers.add(stream, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.All,
    mem_storage: true,
    inactive_threshold: nanos(60_000),
  });
  const consumer = await link.jetstream.consumers.get(stream, name);
  for await (const message of await consumer.consume({ max_messages: 5_000 })) {
    const all = new Map<string, string>();
    const headers: [string, string][] = [];
    for (const [header, texts] of message.headers ?? []) {
      all.set(header, texts.join(', '));
      for (const text of texts) headers.push([header, text]);
    }
    const { info, subject, data, seq: sequence } = message;
    found.push({ subject, payload: Buffer.from(data), headers, all, sequence, time: timeText(message.timestampNanos) });
    if (info.pending === 0) break;
  }
  await link.manager.consumers.delete(stream, name);
  return found;
}

function timeText(nanoseconds: bigint): string {
  const text = String(nanoseconds).padStart(10, '0');
  const seconds = new Date(Number(text.slice(0, -9)) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${text.slice(-9)}Z`;
}

const serversOwn = /^Nats(-Msg-Id$|-Expected-|-Rollup|-TTL|3-)/;

/** The replayed messages are the originals: each once, in order, byte for byte, and say what they were. */
export function assertReplayed(
  originals: readonly Read[],
  replayed: readonly Read[],
  target = (subject: string) => subject,
): void {
  for (const [at, original] of originals.entries()) {
    const copy = replayed[at];
    const what = `message ${original.sequence} at place ${at + 1} of ${replayed.length}`;
    assert.ok(copy !== undefined, `${what} is missing`);
    assert.equal(copy.all.get('Nats3-Sequence'), String(original.sequence), `${what} is another one`);
    assert.equal(copy.subject, target(original.subject), what);
    assert.equal(copy.all.get('Nats3-Subject'), original.subject, what);
    assert.equal(copy.all.get('Nats3-Time'), original.time, what);
    assert.ok(copy.payload.equals(original.payload), `${what} has other bytes`);
    const kept = (headers: Given['headers']) => headers.filter(([name]) => !serversOwn.test(name)).map((line) => line.join(': '));
    assert.deepEqual(kept(copy.headers), kept(original.headers), what);
  }
  assert.equal(replayed.length, originals.length, 'messages too many');
}
