import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { openFrame } from '../../src/core/frame.ts';

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
  const connection = await connect({ servers: natsUrl });
  const lines: string[] = [];
  try {
    const consumer = await jetstream(connection).consumers.get(stream);
    const { num_pending: pending } = await consumer.info(true);
    if (pending === 0) return 'the stream is empty';
    for await (const message of await consumer.consume()) {
      const headers = new Map((message.headers?.keys() ?? []).map((key) => [key, message.headers!.get(key)]));
      const { subject, seq, timestamp: stored } = message;
      const timestamp = Date.parse(stored);
      const frame = { subject, headers, payload: message.data, sequence: seq, timestamp, deliveries: 1 };
      const events = subject.endsWith('.drop') ? [] : await openFrame(frame);
      for (const { index, id, op, version, seqNo, routing, ts } of events) {
        if (!wanted.has(`${index}\n${id}`)) continue;
        const split = `${Math.floor(version / 2048)}+${version % 2048}`;
        lines.push(
          `#${seq} ${index} ${JSON.stringify(id)} ${op} seq_no ${seqNo} version ${version} (${split}) routing ${routing ?? 'none'} ts ${ts}, stored ${timestamp}`,
        );
      }
      if (message.info.pending === 0) break;
    }
  } finally {
    await connection.close();
  }
  return lines.join('\n');
}
