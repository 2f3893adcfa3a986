import { AckPolicy, DeliverPolicy, JetStreamApiError, ReplayPolicy, type ConsumerInfo } from '@nats-io/jetstream';
import { errors, nanos } from '@nats-io/transport-node';
import { GatewayError } from '../core/errors.ts';
import { firstSequence } from './api.ts';
import { pause, type Clock } from './clock.ts';
import type { NatsLink } from './connect.ts';
import { findConsumer } from './consumer.ts';
import { apiCode, apiErrorCode, natsFailure } from './failures.ts';

export type OrderedConsumer = {
  stream: string;
  consumer: string;
  filterSubjects: readonly string[];
  /** Where a consumer that has to be made begins. */
  startSequence: number;
};

/** Where the next delivery must take up: at this consumer sequence, and at this message, if it is known. */
export type Position = { consumerSequence: number; sequence: number | undefined };

const dayMs = 86_400_000;
/** Never by itself: what is out comes again when the consumer is set back. */
const ackWaitMs = 30 * dayMs;
const resetTimeoutMs = 5_000;
/** After a change of the ack wait the server looks at what is out within 100 ms. */
const expiryMs = 500;

/**
 * Makes the durable pull consumer of an ordered source, or finds it: one acknowledgement settles everything before it, nothing is
 * delivered again by itself. Throws STREAM_MISSING, CONSUMER_SHAPE, NATS_*, JETSTREAM_*.
 */
export async function ensureOrderedConsumer(
  link: NatsLink,
  wanted: OrderedConsumer,
): Promise<{ info: ConsumerInfo; made: boolean }> {
  const found = await findConsumer(link, wanted);
  if (found !== undefined) return { info: checked(found), made: false };
  try {
    const info = await link.manager.consumers.add(wanted.stream, {
      durable_name: wanted.consumer,
      ack_policy: AckPolicy.All,
      ...(wanted.startSequence > 1
        ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: wanted.startSequence }
        : { deliver_policy: DeliverPolicy.All }),
      replay_policy: ReplayPolicy.Instant,
      max_deliver: -1,
      ack_wait: nanos(ackWaitMs),
      max_ack_pending: -1,
      ...(wanted.filterSubjects.length === 0 ? {} : { filter_subjects: [...wanted.filterSubjects] }),
    });
    return { info, made: true };
  } catch (error) {
    const rival = apiErrorCode(error) === apiCode.consumerExists ? await findConsumer(link, wanted) : undefined;
    if (rival !== undefined) return { info: checked(rival), made: false };
    throw natsFailure(error, `creating consumer ${wanted.consumer} of stream ${wanted.stream}`);
  }
}

function checked(info: ConsumerInfo): ConsumerInfo {
  if (info.config.ack_policy === AckPolicy.All && info.config.deliver_subject === undefined) return info;
  throw new GatewayError('CONSUMER_SHAPE', `consumer ${info.name} of stream ${info.stream_name} is not one of ours`, {
    hint: `delete it: nats consumer rm ${info.stream_name} ${info.name}`,
  });
}

/**
 * Sets the consumer back to what is not acknowledged, so that it comes again in the order of the stream, at once. Without this a
 * consumer goes on behind what is out, and an acknowledgement there would settle messages that nobody has. nats-server 2.14 or newer
 * does it by one request; with an older one the ack wait is made short for a moment.
 */
export async function setBack(link: NatsLink, of: OrderedConsumer, clock: Clock): Promise<Position> {
  try {
    const answer = await reset(link, of, undefined);
    return { consumerSequence: (answer.delivered?.consumer_seq ?? 0) + 1, sequence: undefined };
  } catch (error) {
    const nobody = error instanceof errors.NoRespondersError || error instanceof errors.RequestError;
    if (!nobody) throw natsFailure(error, resetting(of));
  }
  return letExpire(link, of, clock);
}

/** Moves the consumer's acknowledgement floor, so that it would begin at `startSequence`. Fails with servers before 2.14. */
export async function moveTo(link: NatsLink, of: OrderedConsumer): Promise<void> {
  try {
    await reset(link, of, of.startSequence);
  } catch (error) {
    throw natsFailure(error, resetting(of));
  }
}

type ResetAnswer = { delivered?: { consumer_seq: number }; error?: { code: number; err_code: number; description: string } };

async function reset(link: NatsLink, of: OrderedConsumer, sequence: number | undefined): Promise<ResetAnswer> {
  const subject = `${link.apiPrefix}.CONSUMER.RESET.${of.stream}.${of.consumer}`;
  const request = sequence === undefined ? '' : JSON.stringify({ seq: sequence });
  const answer = (await link.connection.request(subject, request, { timeout: resetTimeoutMs })).json<ResetAnswer>();
  if (answer.error !== undefined) throw new JetStreamApiError(answer.error);
  return answer;
}

function resetting({ consumer, stream }: OrderedConsumer): string {
  return `setting back consumer ${consumer} of stream ${stream}`;
}

/** As `setBack`, for servers that cannot be asked to. */
export async function letExpire(link: NatsLink, of: OrderedConsumer, clock: Clock): Promise<Position> {
  try {
    await link.manager.consumers.update(of.stream, of.consumer, { ack_wait: nanos(1) });
    await pause(clock, expiryMs);
    await link.manager.consumers.update(of.stream, of.consumer, { ack_wait: nanos(ackWaitMs) });
    const info = await link.manager.consumers.info(of.stream, of.consumer);
    const position = { consumerSequence: info.delivered.consumer_seq + 1, sequence: undefined };
    if (info.num_ack_pending === 0) return position;
    let sequence: number | undefined;
    for (const subject of of.filterSubjects.length === 0 ? ['>'] : of.filterSubjects) {
      const next = await firstSequence(link, of.stream, { fromSequence: info.ack_floor.stream_seq + 1, subject });
      if (next !== undefined) sequence = Math.min(sequence ?? next, next);
    }
    return { ...position, sequence };
  } catch (error) {
    throw natsFailure(error, resetting(of));
  }
}
