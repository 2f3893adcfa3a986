/** Chance that can be replayed: the same seed gives the same numbers, and `fork` gives parts that do not disturb each other. */
export class Random {
  readonly seed: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: string) {
    this.seed = seed;
    [this.#a, this.#b, this.#c] = [mix(seed, 0x9e3779b9), mix(seed, 0x85ebca6b), mix(seed, 0xc2b2ae35)];
    for (let i = 0; i < 12; i++) this.next();
  }

  /** A generator of its own, named within this one: it draws nothing from this one. */
  fork(name: string): Random {
    return new Random(`${this.seed}/${name}`);
  }

  /** 0 to 2^32 - 1, by sfc32 (PractRand, public domain). */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) >>> 0;
    return sum;
  }

  /** 0 to 1, 1 excluded. */
  fraction(): number {
    return this.next() / 2 ** 32;
  }

  /** A whole number, both ends included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.between(0, choices.length - 1)];
    if (choice === undefined) throw new Error('nothing to pick from');
    return choice;
  }

  /** One of the keys, each as often as its weight says. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][];
    let at = this.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [key, weight] of entries) {
      at -= weight;
      if (at < 0) return key;
    }
    return entries.at(-1)![0];
  }
}

function mix(text: string, salt: number): number {
  let hash = salt;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** The seed of this run: SEED, or a new one. It is printed, so that a failure can be run again. */
export function seedOfRun(what: string): string {
  const seed = process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32).toString(36);
  process.stdout.write(`# ${what}: SEED=${seed}\n`);
  return seed;
}
