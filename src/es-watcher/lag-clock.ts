const samplesMax = 64;

/** How long the oldest operation that is not yet in the stream has been known. */
export class LagClock {
  target = -1;
  #samples: { target: number; at: number }[] = [];

  /** Takes in a global checkpoint read at `at`, in ms. */
  see(target: number, at: number): void {
    if (target === this.target) return;
    this.target = target;
    this.#samples.push({ target, at });
    // Thinned from the young end: the oldest sample is the one that counts.
    if (this.#samples.length > samplesMax) this.#samples = this.#samples.filter((_, position) => position % 2 === 0);
  }

  seconds(checkpoint: number, now: number): number {
    while (this.#samples.length > 0 && this.#samples[0]!.target <= checkpoint) this.#samples.shift();
    const oldest = this.#samples[0];
    return oldest === undefined ? 0 : Math.max(0, (now - oldest.at) / 1000);
  }
}
