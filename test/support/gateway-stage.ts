import { join } from 'node:path';
import { DeliverPolicy } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { type Server, temporaryDirectory } from '../../scripts/servers.ts';
import type { ChangeEvent, DocumentOperation } from '../../src/core/event.ts';
import { frameHeaders, openFrame, packFrames, sealFrame } from '../../src/core/frame.ts';
import { encodeSubject } from '../../src/core/subject.ts';
import { connectNats, type NatsLink } from '../../src/jetstream/index.ts';
import { headerMap } from '../../src/jetstream/headers.ts';
import { Program } from './programs.ts';
import { freshNats } from './servers.ts';
import { until } from './until.ts';

export type StoredMessage = {
  subject: string;
  id: string | undefined;
  headers: ReadonlyMap<string, string>;
  payload: Uint8Array;
  events: ChangeEvent[];
};

/** A change of an index of tenant `t`, with a document of its own. */
export function change(index: string, number: number, more: Partial<ChangeEvent> = {}): ChangeEvent {
  const op: DocumentOperation = more.op ?? 'index';
  const document =
    op === 'delete' || more.sourceRef !== undefined
      ? {}
      : { source: Buffer.from(`{"n":${number},"big":9007199254740993,"f":1.0}`) };
  return {
    tenant: 't',
    index,
    id: `d${number}`,
    op,
    version: 1_000 + number,
    seqNo: number,
    primaryTerm: 1,
    ts: 1_700_000_000_000,
    ...document,
    ...more,
  };
}

/** Publishes changes of one index and operation as one frame, as the watcher does. */
export async function publishFrame(
  link: NatsLink,
  id: string,
  events: readonly ChangeEvent[],
  compressFromBytes = 0,
): Promise<number> {
  const limits = { documentsMax: Infinity, bytesMax: Infinity, compressFromBytes, compressLevel: 1 };
  const frame = await sealFrame([...packFrames(events, limits)][0]!, limits);
  const { tenant, index, op } = events[0]!;
  return publishBytes(link, encodeSubject({ tenant, index, operation: op }), id, frame.payload, frameHeaders(frame));
}

export async function publishBytes(
  link: NatsLink,
  subject: string,
  id: string,
  payload: Uint8Array,
  own: ReadonlyMap<string, string> = new Map(),
): Promise<number> {
  const head = headers();
  for (const [name, value] of own) head.set(name, value);
  return (await link.jetstream.publish(subject, payload, { msgID: id, headers: head })).seq;
}

/** All messages of a stream, from the first on. */
export async function readStream(link: NatsLink, stream: string): Promise<StoredMessage[]> {
  const { state } = await link.manager.streams.info(stream);
  const found: StoredMessage[] = [];
  if (state.messages === 0) return found;
  const consumer = await link.jetstream.consumers.get(stream, { deliver_policy: DeliverPolicy.All });
  for await (const message of await consumer.consume()) {
    const own = headerMap(message.headers);
    const whole = {
      subject: message.subject,
      headers: own,
      payload: message.data,
      sequence: message.seq,
      timestamp: 0,
      deliveries: 1,
    };
    const events = message.subject.endsWith('.drop') ? [] : await openFrame(whole).catch(() => []);
    found.push({ subject: message.subject, id: own.get('Nats-Msg-Id'), headers: own, payload: message.data, events });
    if (message.info.pending === 0) break;
  }
  return found;
}

/** Documents as a target would have them after these messages, by index and id: the text, the highest version wins. */
export function applied(messages: readonly StoredMessage[]): Map<string, string> {
  const versions = new Map<string, number>();
  const documents = new Map<string, string>();
  for (const event of messages.flatMap(({ events }) => events)) {
    const key = `${event.index}/${event.id}`;
    if ((versions.get(key) ?? -1) >= event.version) continue;
    versions.set(key, event.version);
    if (event.source === undefined) documents.delete(key);
    else documents.set(key, Buffer.from(event.source).toString());
  }
  return documents;
}

export function connectTo(url: string): Promise<NatsLink> {
  return connectNats({ urls: [url], name: 'test' });
}

export function gatewayProgram(flags: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}): Program {
  const directory = temporaryDirectory('gateway');
  const given = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  return new Program('nats-gateway', { flags: given, env, logFile: join(directory, 'gateway.log') });
}

export type Cleanup = { after(work: () => Promise<void>): void };
export type GatewayStage = { link: NatsLink; gateway: Program; nats: Server };

/** A NATS server of its own, and a gateway between two streams of it, at work. */
export async function gatewayStage(
  t: Cleanup,
  flags: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<GatewayStage> {
  const nats = await freshNats();
  const link = await connectTo(nats.url);
  const gateway = gatewayProgram({ 'upstream-url': nats.url, ...flags }, env);
  t.after(async () => {
    if (gateway.isRunning()) await gateway.stop();
    await link.close();
    await nats.stop();
  });
  await gateway.startReady();
  return { link, gateway, nats };
}

/**
 * Waits until the gateway has acknowledged everything upstream. A consumer hears of a message only after its publisher: that it has nothing
 * pending says something once it has come to the end of the stream.
 */
export async function settled(link: NatsLink, stream = 'ES_CHANGES_RAW', withinMs = 20_000): Promise<void> {
  await until(
    'the gateway to have passed everything on',
    async () => {
      const { state } = await link.manager.streams.info(stream);
      const { num_pending, num_ack_pending, delivered } = await link.manager.consumers.info(stream, 'nats-gateway');
      return num_pending === 0 && num_ack_pending === 0 && delivered.stream_seq >= state.last_seq;
    },
    { withinMs },
  );
}
