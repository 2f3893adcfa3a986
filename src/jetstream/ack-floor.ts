import type { ConsumerInfo } from '@nats-io/jetstream';
import { firstSequence, listConsumers } from './api.ts';
import type { NatsLink } from './connect.ts';

/**
 * The sequence up to which every durable consumer of the stream has acknowledged all it may ever want, at most `lastSequence`: the
 * stream's last sequence, read before this call. 0 without durable consumers, and when they cannot all be asked.
 *
 * Only consumers with a durable name count; a mirror or source that reads this stream is not seen.
 */
export async function commonAckFloor(link: NatsLink, stream: string, lastSequence: number): Promise<number> {
  const consumers = await listConsumers(link, stream);
  const durable = consumers?.filter((consumer) => consumer.config.durable_name !== undefined) ?? [];
  if (durable.length === 0) return 0;
  let floor = lastSequence;
  for (const consumer of durable) floor = Math.min(floor, await floorOf(link, stream, consumer, lastSequence));
  return floor;
}

/**
 * A consumer's acknowledgement floor stands still while only messages outside its filter arrive. Its count of pending messages does not
 * help: the server raises it some time after the message was stored. So with nothing in flight the stream's leader is asked
 * for the first message after the floor that the filter takes; there is none up to `lastSequence`, or everything before it is unwanted.
 */
async function floorOf(link: NatsLink, stream: string, consumer: ConsumerInfo, lastSequence: number): Promise<number> {
  const floor = consumer.ack_floor.stream_seq;
  const { filter_subject: one, filter_subjects: several } = consumer.config;
  const filters = several ?? (one === undefined || one === '' ? [] : [one]);
  if (filters.length === 0 || consumer.num_ack_pending > 0 || floor >= lastSequence) return floor;
  let wanted = lastSequence + 1;
  for (const subject of filters) {
    const next = await firstSequence(link, stream, { fromSequence: floor + 1, subject });
    if (next !== undefined) wanted = Math.min(wanted, next);
  }
  return Math.max(floor, wanted - 1);
}
