import { RetentionPolicy } from '@nats-io/jetstream';
import { BulkAcks } from './bulk-acks.ts';
import type { Clock } from './clock.ts';
import type { NatsLink } from './connect.ts';
import type { Beginning, Floor, FloorEvents } from './floor.ts';
import { MovedFloor } from './moved-floor.ts';
import type { OrderedConsumer } from './ordered-consumer.ts';

export type FloorParts = {
  link: NatsLink;
  clock: Clock;
  /** Do without what nats-server 2.14 brought. */
  oldServer: boolean;
  events: FloorEvents;
};

type Begun = { floor: Floor; beginning: Beginning };

/**
 * Begins to read after `given`; where it has read before, with the floor of then if that will do. Where acknowledgements decide what the stream
 * keeps, and where the server is too old for anything else, every delivery is acknowledged. Throws what keeps the reading from beginning.
 */
export async function beginReading(
  before: Floor | undefined,
  { link, clock, oldServer, events }: FloorParts,
  retention: RetentionPolicy,
  durable: OrderedConsumer,
  given: number,
): Promise<Begun> {
  if (retention === RetentionPolicy.Limits && !oldServer) {
    try {
      const floor = before instanceof MovedFloor ? before : new MovedFloor(link, clock, events);
      return await begin(floor, before, durable, given);
    } catch {
      // An old server, or one that allows no further consumer. Whatever else it is, the other way says so too.
    }
  }
  const floor = before instanceof BulkAcks ? before : new BulkAcks(link, clock, oldServer, events);
  return begin(floor, before, durable, given);
}

/** The one of the two that is not needed then is closed. */
async function begin(floor: Floor, before: Floor | undefined, durable: OrderedConsumer, given: number): Promise<Begun> {
  try {
    const beginning = await floor.begin(durable, given);
    if (floor !== before) await before?.close();
    return { floor, beginning };
  } catch (error) {
    if (floor !== before) await floor.close();
    throw error;
  }
}
