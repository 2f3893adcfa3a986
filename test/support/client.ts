import type { Cluster, Reply } from './cluster.ts';
import { documentText, groups, type DocumentWish } from './documents.ts';
import { freshId, segment } from './ids.ts';
import { fixedRouting, type IndexPlan } from './plans.ts';
import type { Random } from './random.ts';
import type { Tally } from './tally.ts';

/** How often a client does what; the size of its bulk requests, both ends included. */
export type Habits = {
  weights: Readonly<Record<Deed, number>>;
  bulk: readonly [number, number];
  /** Documents of 300 KB and 3 MB (above the NATS payload limit) are made this often, where a request of kind `large` comes. */
  hugeChance: number;
  /** About so many bytes a document of a bulk request; without it they are small. */
  bulkDocumentBytes?: number;
};
type Deed =
  | 'write'
  | 'writeAuto'
  | 'update'
  | 'delete'
  | 'bulk'
  | 'burst'
  | 'deleteByQuery'
  | 'updateByQuery'
  | 'large'
  | 'recreate'
  | 'rollover';

export const usualHabits: Habits = {
  weights: {
    write: 20,
    writeAuto: 6,
    update: 20,
    delete: 14,
    bulk: 24,
    burst: 4,
    deleteByQuery: 1,
    updateByQuery: 1,
    large: 0.5,
    recreate: 0.3,
    rollover: 0.3,
  },
  bulk: [5, 60],
  hugeChance: 0.15,
};

/** Changes a client's documents one request after the other. Its choices depend on its seed alone, what they meet on the others. */
export class Client {
  readonly #cluster: Cluster;
  readonly #random: Random;
  readonly #plans: readonly IndexPlan[];
  readonly #tally: Tally;
  readonly #habits: Habits;
  /** Routing under which this client's own documents lie now, by index and id. */
  readonly #places = new Map<string, string>();
  readonly #name: string;

  constructor(name: string, cluster: Cluster, random: Random, plans: readonly IndexPlan[], tally: Tally, habits: Habits) {
    [this.#name, this.#cluster, this.#random, this.#plans, this.#tally, this.#habits] = [
      name,
      cluster,
      random,
      plans,
      tally,
      habits,
    ];
  }

  /** One request, or a few that belong together. Rejects where the connection breaks. */
  async act(): Promise<void> {
    const plan = this.#random.pick(this.#plans);
    if (plan.routing === 'moved') return this.#move(plan);
    if (plan.kind === 'stream') return this.#random.chance(0.02) ? this.#rollover(plan) : this.#append(plan);
    const deed = this.#random.weighted(this.#habits.weights);
    switch (deed) {
      case 'write':
        return this.#write(plan, this.#random.pick(plan.ids), { pretty: this.#random.chance(0.5) });
      case 'writeAuto':
        return this.#tally.single(await this.#send('POST', `/${plan.name}/_doc`, this.#document(plan, { pretty: true })));
      case 'update':
        return this.#update(plan);
      case 'delete':
        return this.#delete(plan, this.#random.pick(plan.ids));
      case 'bulk':
        return this.#bulk();
      case 'burst':
        return this.burst(this.#random.between(...this.#habits.bulk));
      case 'deleteByQuery':
      case 'updateByQuery':
        return this.#byQuery(plan, deed);
      case 'large': {
        const bytes = this.#random.chance(this.#habits.hugeChance) ? 3_000_000 : 300_000;
        return this.#write(plan, this.#random.pick(plan.ids), { bytes });
      }
      case 'recreate':
        return plan.recreated === true ? this.#recreate(plan) : this.#bulk();
      case 'rollover':
        return plan.kind === 'alias' ? this.#rollover(plan) : this.#bulk();
    }
  }

  /** Documents that live once and not for long: created, and every other one deleted at once. What is around a crash should be these. */
  async burst(size: number): Promise<void> {
    const plan = this.#random.pick(this.#plans.filter((one) => one.kind === 'index' && one.routing !== 'moved'));
    const ids = Array.from({ length: size }, () => freshId(this.#random));
    await this.#sendBulk(ids.map((id) => `${this.#action('index', plan, id)}\n${this.#document(plan)}\n`));
    await this.#sendBulk(ids.filter((_, i) => i % 2 === 0).map((id) => `${this.#action('delete', plan, id)}\n`));
  }

  /** A document of 300 KB, and one of 3 MB: larger than a NATS message may be. */
  async writeLarge(): Promise<void> {
    const plans = this.#plans.filter((one) => one.kind === 'index' && one.routing !== 'moved');
    for (const bytes of [300_000, 3_000_000]) await this.#write(this.#random.pick(plans), freshId(this.#random), { bytes });
  }

  async #bulk(): Promise<void> {
    const plans = this.#plans.filter((one) => one.kind !== 'stream' && one.routing !== 'moved');
    const lines = Array.from({ length: this.#random.between(...this.#habits.bulk) }, () =>
      this.#bulkItem(this.#random.pick(plans)),
    );
    await this.#sendBulk(lines);
  }

  #bulkItem(plan: IndexPlan): string {
    const id = this.#random.pick(plan.ids);
    const kind = this.#random.weighted({ index: 8, create: 2, update: plan.unprintable === true ? 0 : 4, delete: 5, auto: 1 });
    if (kind === 'delete') return `${this.#action(kind, plan, id)}\n`;
    if (kind === 'update') {
      return `${this.#action(kind, plan, id)}\n{"doc":${this.#partial()}${this.#random.chance(0.5) ? ',"doc_as_upsert":true' : ''}}\n`;
    }
    const action = kind === 'auto' ? this.#action('index', plan, undefined) : this.#action(kind, plan, id);
    return `${action}\n${this.#document(plan, this.#bulkWish)}\n`;
  }

  get #bulkWish(): DocumentWish {
    const { bulkDocumentBytes } = this.#habits;
    return bulkDocumentBytes === undefined ? {} : { bytes: bulkDocumentBytes };
  }

  async #write(plan: IndexPlan, id: string, wish: DocumentWish): Promise<void> {
    this.#tally.single(
      await this.#send('PUT', `/${plan.name}/_doc/${segment(id)}${this.#routing(plan, id)}`, this.#document(plan, wish)),
    );
  }

  async #delete(plan: IndexPlan, id: string): Promise<void> {
    this.#tally.single(await this.#send('DELETE', `/${plan.name}/_doc/${segment(id)}${this.#routing(plan, id)}`));
  }

  async #update(plan: IndexPlan): Promise<void> {
    const id = this.#random.pick(plan.ids);
    if (plan.unprintable === true) return this.#write(plan, id, {});
    const script = { source: 'ctx._source.touched = params.t', params: { t: this.#random.between(0, 1e9) } };
    const bodies = {
      doc: `{"doc":${this.#partial()}}`,
      upsert: `{"doc":${this.#partial()},"doc_as_upsert":true}`,
      script: `{"script":${JSON.stringify(script)},"upsert":${this.#document(plan)}}`,
      remove: `{"script":{"source":"ctx.op = 'delete'"}}`,
    };
    const body = bodies[this.#random.weighted({ doc: 5, upsert: 4, script: 4, remove: 1 })];
    this.#tally.single(await this.#send('POST', `/${plan.name}/_update/${segment(id)}${this.#routing(plan, id)}`, body));
  }

  async #byQuery(plan: IndexPlan, deed: 'deleteByQuery' | 'updateByQuery'): Promise<void> {
    const query = `"query":{"term":{"group":"g${this.#random.between(0, groups - 1)}"}}`;
    if (deed === 'deleteByQuery' || plan.unprintable === true) {
      return this.#tally.byQuery(await this.#send('POST', `/${plan.name}/_delete_by_query?conflicts=proceed`, `{${query}}`));
    }
    const script = `"script":{"source":"ctx._source.touched = params.t","params":{"t":${this.#random.between(0, 1e9)}}}`;
    this.#tally.byQuery(await this.#send('POST', `/${plan.name}/_update_by_query?conflicts=proceed`, `{${script},${query}}`));
  }

  /** Another client may write in between and so have the index created by its template: that is as good. */
  async #recreate(plan: IndexPlan): Promise<void> {
    const deleted = await this.#send('DELETE', `/${plan.name}`);
    const shards = this.#random.between(1, 4);
    await this.#send('PUT', `/${plan.name}`, JSON.stringify({ settings: { number_of_shards: shards } }));
    if (deleted.status === 200) this.#tally.recreated++;
  }

  async #rollover(plan: IndexPlan): Promise<void> {
    const reply = await this.#send('POST', `/${plan.name}/_rollover`);
    if (reply.status === 200) this.#tally.rolledOver++;
    // Two clients may roll over the same alias at once, and a server lets one of them have its way.
    else if (!reply.body.includes('Concurrent modification of alias')) {
      this.#tally.refused(reply.status, reply.body.toString('utf8', 0, 300));
    }
  }

  async #append(plan: IndexPlan): Promise<void> {
    const lines = Array.from(
      { length: this.#random.between(1, 20) },
      () => `{"create":{"_index":"${plan.name}"}}\n${this.#document(plan)}\n`,
    );
    await this.#sendBulk(lines);
  }

  /** Deletes one of this client's own documents where it lies, and writes it under another routing, which may be another shard. */
  async #move(plan: IndexPlan): Promise<void> {
    const id = `${this.#name}-${this.#random.between(0, 40)}`;
    const key = `${plan.name}\n${id}`;
    const place = this.#places.get(key);
    const path = `/${plan.name}/_doc/${segment(id)}?routing=`;
    if (place !== undefined) {
      this.#tally.single(await this.#send('DELETE', path + place));
      this.#places.delete(key);
    }
    if (place !== undefined && this.#random.chance(0.2)) return;
    const next = `p${this.#random.between(0, 15)}`;
    this.#places.set(key, next);
    this.#tally.single(await this.#send('PUT', path + next, this.#document(plan)));
  }

  #partial(): string {
    return this.#random.pick([
      `{"touched":${this.#random.between(0, 1e9)}}`,
      `{"inner":{"a":${documentText(this.#random)}}}`,
      '{"big":9007199254740993,"f":1.0}',
    ]);
  }

  #document(plan: IndexPlan, wish: DocumentWish = {}): string {
    return documentText(this.#random, {
      ...wish,
      nested: plan.nested === true,
      unprintable: plan.unprintable === true,
      timestamp: plan.kind === 'stream',
    });
  }

  #action(action: string, plan: IndexPlan, id: string | undefined): string {
    const routing = plan.routing === 'fixed' && id !== undefined ? { routing: fixedRouting(id) } : {};
    return JSON.stringify({ [action]: { _index: plan.name, ...(id === undefined ? {} : { _id: id }), ...routing } });
  }

  #routing(plan: IndexPlan, id: string): string {
    return plan.routing === 'fixed' ? `?routing=${encodeURIComponent(fixedRouting(id))}` : '';
  }

  async #sendBulk(lines: string[]): Promise<void> {
    if (lines.length > 0) this.#tally.bulk(await this.#send('POST', '/_bulk', lines.join('')));
  }

  #send(method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: string): Promise<Reply> {
    this.#tally.requests++;
    this.#tally.bytes += body?.length ?? 0;
    return this.#cluster.send(method, path, body);
  }
}
