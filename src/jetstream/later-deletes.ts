import { DeliverPolicy, type Consumer } from '@nats-io/jetstream';
import { GatewayError } from '../core/errors.ts';
import type { Message } from '../core/strategy.ts';
import { firstSequence } from './api.ts';
import type { NatsLink } from './connect.ts';
import { natsFailure } from './failures.ts';
import { headerMap } from './headers.ts';
import { streamMissing } from './publish-verdict.ts';
import { streamIdentity } from './streams.ts';

export type ScanSettings = {
  stream: string;
  /** May hold wildcards. */
  subject: string;
  /** Messages above this sequence are read. */
  afterSequence: number;
  /** Called in stream order; the next message waits for it. A repeat after a lost connection is possible. */
  onMessage: (message: Message) => void | Promise<void>;
  signal?: AbortSignal;
};

export type Scanned = {
  scanned: number;
  /** Everything on the subject up to here was read: the stream's last sequence when the scan began. */
  lastSequence: number;
};

const readAheadBytes = 8 * 2 ** 20;
const fetchMs = 2_000;

/**
 * Reads the messages on one subject between a sequence and the present end of the stream, and ends: for the writer, which must know whether a
 * change that is redelivered late was deleted since (D4). Throws STREAM_MISSING, SCAN_ABORTED, NATS_*, all worth trying again but the last
 * without `transient`.
 */
export async function scanSubject(link: NatsLink, settings: ScanSettings): Promise<Scanned> {
  const { stream, subject, afterSequence } = settings;
  const tried = `scanning ${subject} in stream ${stream}`;
  const identity = await streamIdentity(link, stream);
  if (identity === undefined) throw streamMissing(stream);
  const lastSequence = identity.lastSeq;
  let position = afterSequence;
  let scanned = 0;
  const rest = async (): Promise<number | undefined> => {
    const next = position < lastSequence ? await firstSequence(link, stream, { fromSequence: position + 1, subject }) : undefined;
    return next !== undefined && next <= lastSequence ? next : undefined;
  };
  let next = await rest();
  if (next === undefined) return { scanned, lastSequence };
  let consumer: Consumer | undefined;
  try {
    consumer = await link.jetstream.consumers.get(stream, {
      filter_subjects: subject,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: next,
    });
    while (next !== undefined) {
      const batch = await consumer.fetch({ max_bytes: Math.max(readAheadBytes, 2 * link.maxPayload), expires: fetchMs });
      for await (const received of batch) {
        if (settings.signal?.aborted === true) throw new GatewayError('SCAN_ABORTED', `${tried} was stopped`);
        if (received.seq > lastSequence) return { scanned, lastSequence };
        position = received.seq;
        scanned++;
        await settings.onMessage({
          subject: received.subject,
          headers: headerMap(received.headers),
          payload: received.data,
          sequence: received.seq,
          timestamp: Math.floor(received.info.timestampNanos / 1e6),
          deliveries: 1,
        });
        if (received.info.pending === 0) break;
      }
      next = await rest();
    }
    return { scanned, lastSequence };
  } catch (error) {
    throw natsFailure(error, tried);
  } finally {
    // It would go by itself after a while; a failure to remove it is no failure of the scan.
    await consumer?.delete().catch(() => undefined);
  }
}
