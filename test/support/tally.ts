import type { Reply } from './cluster.ts';

/** What a workload has done, as the cluster confirmed it. */
export class Tally {
  /** Documents written or deleted. */
  operations = 0;
  deletes = 0;
  requests = 0;
  bytes = 0;
  /** Times an index was created anew under its name, or rolled over. */
  recreated = 0;
  rolledOver = 0;
  /** Requests whose fate nobody knows: the connection broke. */
  unknown = 0;
  /** Refusals that a workload does not expect, by reason: bounded, for the failure's message. */
  readonly refusals = new Map<string, number>();

  result(result: unknown): void {
    if (result === 'created' || result === 'updated') this.operations++;
    if (result === 'deleted') {
      this.operations++;
      this.deletes++;
    }
  }

  /** Counts the answer to a request about one document. */
  single(reply: Reply): void {
    const answer = parse(reply) as { result?: string };
    if (reply.status < 300) this.result(answer.result);
    else this.refused(reply.status, JSON.stringify(answer));
  }

  /** Counts the answer to a bulk request, item by item. */
  bulk(reply: Reply): void {
    if (reply.status !== 200) return this.refused(reply.status, reply.body.toString('utf8', 0, 300));
    const answer = parse(reply) as { items: Record<string, { status: number; result?: string; error?: unknown }>[] };
    for (const item of answer.items) {
      const [outcome] = Object.values(item);
      if (outcome === undefined) continue;
      if (outcome.status < 300) this.result(outcome.result);
      else this.refused(outcome.status, JSON.stringify(outcome.error ?? ''));
    }
  }

  /** Counts the answer to `_delete_by_query` or `_update_by_query`. */
  byQuery(reply: Reply): void {
    const answer = parse(reply) as { deleted?: number; updated?: number };
    if (reply.status >= 300) this.refused(reply.status, JSON.stringify(answer));
    this.deletes += answer.deleted ?? 0;
    this.operations += (answer.deleted ?? 0) + (answer.updated ?? 0);
  }

  /** Conflicts between clients, documents that are not there and indices just deleted are what a workload is made of. */
  refused(status: number, reason: string): void {
    if (status === 404 || status === 409 || status === 429 || status === 503) return;
    const key = `${status} ${reason.slice(0, 300)}`;
    if (this.refusals.size < 20 || this.refusals.has(key)) this.refusals.set(key, (this.refusals.get(key) ?? 0) + 1);
  }

  toString(): string {
    const parts = [`${this.operations} operations, ${this.deletes} of them deletes, in ${this.requests} requests`];
    if (this.recreated > 0) parts.push(`${this.recreated} indices recreated`);
    if (this.rolledOver > 0) parts.push(`${this.rolledOver} rolled over`);
    if (this.unknown > 0) parts.push(`${this.unknown} requests of unknown fate`);
    return parts.join(', ');
  }
}

function parse(reply: Reply): unknown {
  return JSON.parse(reply.body.toString('utf8'));
}
