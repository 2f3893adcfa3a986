import { firstSequence } from './api.ts';
import type { NatsLink } from './connect.ts';
import { natsFailure } from './failures.ts';

/**
 * True when the consumer has acknowledged every message before this one that it takes. Its floor stands still while messages outside its
 * filter go by, or where the stream has gaps; then the next message that it takes is asked for. Throws NATS_*, JETSTREAM_REFUSED.
 */
export async function acknowledgedBefore(
  link: NatsLink,
  of: { stream: string; consumer: string; filterSubjects: readonly string[] },
  sequence: number,
): Promise<boolean> {
  try {
    const { ack_floor } = await link.manager.consumers.info(of.stream, of.consumer);
    const floor = ack_floor.stream_seq;
    if (floor >= sequence - 1) return true;
    const subjects = of.filterSubjects.length === 0 ? ['>'] : of.filterSubjects;
    for (const subject of subjects) {
      const next = await firstSequence(link, of.stream, { fromSequence: floor + 1, subject });
      if (next !== undefined && next < sequence) return false;
    }
    return true;
  } catch (error) {
    throw natsFailure(error, `asking how far consumer ${of.consumer} of stream ${of.stream} has come`);
  }
}
