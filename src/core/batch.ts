export type BatchLimits = {
  itemsMax: number;
  bytesMax: number;
  /** How long a batch that is not full waits for more while others are on their way. */
  ageMsMax: number;
};

/**
 * Collects items into batches by count, bytes and age. It gives a batch out at once when nothing is in flight, so that a quiet stream
 * waits for nobody, and fills it up when something is, so that a busy one is carried in large loads.
 */
export class Batcher<Item> {
  readonly #limits: BatchLimits;
  readonly #bytesOf: (item: Item) => number;
  readonly #countOf: (item: Item) => number;
  readonly #now: () => number;
  #items: Item[] = [];
  #bytes = 0;
  #count = 0;
  #since = 0;

  constructor(
    limits: BatchLimits,
    bytesOf: (item: Item) => number,
    countOf: (item: Item) => number = () => 1,
    now: () => number = Date.now,
  ) {
    this.#limits = limits;
    this.#bytesOf = bytesOf;
    this.#countOf = countOf;
    this.#now = now;
  }

  get length(): number {
    return this.#items.length;
  }

  add(item: Item): void {
    if (this.#items.length === 0) this.#since = this.#now();
    this.#items.push(item);
    this.#bytes += this.#bytesOf(item);
    this.#count += this.#countOf(item);
  }

  get full(): boolean {
    return this.#count >= this.#limits.itemsMax || this.#bytes >= this.#limits.bytesMax;
  }

  /** Ms until the batch is due while others are in flight; 0 when it is due, undefined when there is nothing to send. */
  dueInMs(inFlight: number): number | undefined {
    if (this.#items.length === 0) return undefined;
    if (this.full || inFlight === 0) return 0;
    return Math.max(0, this.#since + this.#limits.ageMsMax - this.#now());
  }

  /** Takes the next batch: at most the limits allow, at least one item if there is any. */
  take(): Item[] {
    let taking = 0;
    let count = 0;
    let bytes = 0;
    for (; taking < this.#items.length; taking++) {
      const item = this.#items[taking]!;
      const nextCount = count + this.#countOf(item);
      const nextBytes = bytes + this.#bytesOf(item);
      if (taking > 0 && (nextCount > this.#limits.itemsMax || nextBytes > this.#limits.bytesMax)) break;
      count = nextCount;
      bytes = nextBytes;
    }
    const taken = taking === this.#items.length ? this.#items : this.#items.slice(0, taking);
    this.#items = taking === this.#items.length ? [] : this.#items.slice(taking);
    this.#count -= count;
    this.#bytes -= bytes;
    return taken;
  }
}
