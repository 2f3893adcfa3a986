import { GatewayError } from '../core/errors.ts';
import type { Delivery } from '../core/strategy.ts';

type Place = { state: 'open' | 'acknowledged' | 'given back'; wake: () => void };

/**
 * Acknowledges in the order of delivery. What is acknowledged is never delivered again, so after a crash a write comes again only together
 * with everything after it: also with the delete that followed. Alone it would be published as new, and a target that has forgotten
 * the delete meanwhile (`index.gc_deletes`) would take it.
 */
export class OrderedAcks {
  readonly #places: Place[] = [];

  /** The delivery, whose `ack` waits for all that were wrapped before it. Throws ACK_LOST, transient, when one of those was given back. */
  wrap(delivery: Delivery): Delivery {
    const place: Place = { state: 'open', wake: () => {} };
    this.#places.push(place);
    const settle = (state: 'acknowledged' | 'given back'): void => {
      if (place.state !== 'open') return;
      place.state = state;
      if (state === 'given back') this.#giveBackAfter(place);
      this.#advance();
    };
    return {
      message: delivery.message,
      ack: async () => {
        while (this.#places[0] !== place && place.state === 'open') await new Promise<void>((resolve) => (place.wake = resolve));
        if (place.state === 'given back') {
          delivery.retryLater(0);
          throw new GatewayError('ACK_LOST', 'a message before this one was given back: both come again', { transient: true });
        }
        // Sent in order on one connection, acknowledgements are taken in order; waiting for each to be confirmed would cost a round trip a message.
        const confirmed = delivery.ack();
        settle('acknowledged');
        await confirmed;
      },
      retryLater: (delayMs) => {
        delivery.retryLater(delayMs);
        settle('given back');
      },
      working: () => delivery.working(),
    };
  }

  /** Everything after it comes again too. */
  #giveBackAfter(first: Place): void {
    for (const place of this.#places.splice(this.#places.indexOf(first))) {
      if (place.state === 'open') place.state = 'given back';
      place.wake();
    }
  }

  #advance(): void {
    while (this.#places[0]?.state === 'acknowledged') this.#places.shift();
    this.#places[0]?.wake();
  }
}
