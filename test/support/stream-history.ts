import { jetstream } from '@nats-io/jetstream';
import { connect, headers as natsHeaders } from '@nats-io/transport-node';
import { openFrame } from '../../src/core/frame.ts';
import type { Message } from '../../src/core/strategy.ts';

/** All messages that a stream holds now, in order. */
export async function readStream(natsUrl: string, stream: string): Promise<Message[]> {
  const connection = await connect({ servers: natsUrl });
  const messages: Message[] = [];
  try {
    const consumer = await jetstream(connection).consumers.get(stream);
    const { num_pending: pending } = await consumer.info(true);
    if (pending === 0) return [];
    for await (const message of await consumer.consume()) {
      const headers = new Map((message.headers?.keys() ?? []).map((key) => [key, message.headers!.get(key)]));
      const { subject, seq: sequence, data: payload } = message;
      messages.push({ subject, headers, payload, sequence, timestamp: Date.parse(message.timestamp), deliveries: 1 });
      if (message.info.pending === 0) break;
    }
  } finally {
    await connection.close();
  }
  return messages;
}

/** Puts a message on a subject, as anybody might, and waits until the stream of that subject has it. */
export async function publishForeign(
  natsUrl: string,
  subject: string,
  payload: string,
  headers?: Readonly<Record<string, string>>,
): Promise<void> {
  const connection = await connect({ servers: natsUrl });
  const made = natsHeaders();
  for (const [key, value] of Object.entries(headers ?? {})) made.set(key, value);
  await jetstream(connection).publish(subject, payload, { headers: made });
  await connection.close();
}

/**
 * What a stream holds about some documents, a line an envelope: for the dump of a failure, where the product's own reading may be trusted.
 * Documents are named by index and id.
 */
export async function streamHistory(
  natsUrl: string,
  stream: string,
  documents: readonly { index: string; id: string }[],
): Promise<string> {
  const wanted = new Set(documents.map(({ index, id }) => `${index}\n${id}`));
  const lines: string[] = [];
  for (const message of await readStream(natsUrl, stream)) {
    const events = message.subject.endsWith('.drop') ? [] : await openFrame(message).catch(() => []);
    for (const { index, id, op, version, seqNo, routing, ts } of events) {
      if (!wanted.has(`${index}\n${id}`)) continue;
      const split = `${Math.floor(version / 2048)}+${version % 2048}`;
      const what = `${index} ${JSON.stringify(id)} ${op} seq_no ${seqNo} version ${version} (${split}) routing ${routing ?? 'none'}`;
      lines.push(`#${message.sequence} ${what} ts ${ts}, stored ${message.timestamp}`);
    }
  }
  return lines.join('\n');
}
