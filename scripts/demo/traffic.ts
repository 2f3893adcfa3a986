import { setTimeout as sleep } from 'node:timers/promises';
import { indexPath, type ElasticClient } from '../../src/elastic/index.ts';
import { bulk } from './cluster.ts';
import type { Place } from './places.ts';
import { number } from './screen.ts';

type TrafficCounts = { updates: number; deletes: number; writes: number };

const tickMs = 50;

/** Updates, deletes and writes back places of the source at an even rate until it is told to stop. */
export class Traffic {
  readonly counts: TrafficCounts = { updates: 0, deletes: 0, writes: 0 };
  readonly #client: ElasticClient;
  readonly #index: string;
  readonly #there: Place[];
  readonly #deleted: Place[] = [];

  /** `places` are what the index holds. */
  constructor(client: ElasticClient, index: string, places: Iterable<Place>) {
    this.#client = client;
    this.#index = index;
    this.#there = [...places];
  }

  async run(perSecond: number, stopping: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    for (let sent = 0; !stopping.aborted;) {
      const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1000);
      // after a pause of the source's it goes on, rather than make up for it in one leap
      const lines = Array.from({ length: Math.min(due - sent, perSecond) }, () => this.#operation());
      // an update of a place that the same request deletes is refused with 404
      if (lines.length > 0) await bulk(this.#client, this.#index, lines, (status) => status < 300 || status === 404);
      sent = due;
      await sleep(tickMs);
    }
  }

  describe(): string {
    const { updates, deletes, writes } = this.counts;
    return `${number(updates)} updates, ${number(deletes)} deletes, ${number(writes)} written again`;
  }

  /** Three of five update a place, one deletes one, one writes a deleted one again. */
  #operation(): string {
    const dice = Math.random();
    if (dice < 0.2 && this.#there.length > 1) return this.#delete();
    if (dice < 0.4 && this.#deleted.length > 0) return this.#write();
    this.counts.updates++;
    const { id } = this.#there[Math.floor(Math.random() * this.#there.length)]!;
    return `{"update":{"_id":"${id}"}}\n{"doc":{"seen":${process.hrtime.bigint() + 2n ** 60n}}}\n`;
  }

  #delete(): string {
    this.counts.deletes++;
    const at = Math.floor(Math.random() * this.#there.length);
    const place = this.#there[at]!;
    this.#there[at] = this.#there.at(-1)!;
    this.#there.pop();
    this.#deleted.push(place);
    return `{"delete":{"_id":"${place.id}"}}\n`;
  }

  #write(): string {
    this.counts.writes++;
    const place = this.#deleted.pop()!;
    this.#there.push(place);
    return `{"index":{"_id":"${place.id}"}}\n${place.source}\n`;
  }
}

const probeId = 'probe';
const lookEveryMs = 4;
const pauseMs = 100;

/**
 * Measures the lag as a user would notice it: writes a document at the source, and looks at the target until it is there. The time runs
 * from the source's answer.
 */
export class Probe {
  /** One a write that arrived. */
  readonly lagsMs: number[] = [];
  readonly #source: ElasticClient;
  readonly #target: ElasticClient;
  readonly #index: string;
  #writtenAt: number | undefined;
  #sent = 0;

  constructor(source: ElasticClient, target: ElasticClient, index: string) {
    this.#source = source;
    this.#target = target;
    this.#index = index;
  }

  /** Of the write under way once it has taken longer than the one before, else that one's. */
  get lagMs(): number {
    const underWay = this.#writtenAt === undefined ? 0 : performance.now() - this.#writtenAt;
    return Math.max(underWay, this.lagsMs.at(-1) ?? 0);
  }

  async run(stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      await this.once();
      await sleep(pauseMs);
    }
  }

  /** Resolves with the lag in ms when a change made now has arrived. */
  async once(): Promise<number> {
    const seen = ++this.#sent;
    const path = indexPath(this.#index, `_doc/${probeId}`);
    await this.#source.ok({ method: 'PUT', path, body: JSON.stringify({ name: 'lag', seen }) });
    this.#writtenAt = performance.now();
    const wanted = `"seen":${seen}}`;
    while (!(await this.#target.request({ method: 'GET', path })).body.includes(wanted)) await sleep(lookEveryMs);
    const lag = performance.now() - this.#writtenAt;
    this.#writtenAt = undefined;
    this.lagsMs.push(lag);
    return lag;
  }
}

/** The value below which this part (0 to 1) of the values lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}
