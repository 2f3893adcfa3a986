import { randomUUID } from 'node:crypto';
import { GatewayError } from '../core/errors.ts';
import type { Entry, KeyValue } from '../jetstream/index.ts';

/** Of the key `lease.*`: who runs the job; nobody, if it was let go. */
type Holder = { server: string | undefined; token: string };

/** Renewed this often within the time after which others take over. */
const renewals = 4;
/** Part of that time for which a lease need not be asked for after it was renewed: it ends here before it ends elsewhere. */
const trust = 0.7;

/** Who holds a job, as seen from here: a lease that has not changed for the time-out, by this machine's own clock, is nobody's. */
export class LeaseView {
  readonly #timeoutMs: number;
  readonly #now: () => number;
  readonly #seen = new Map<string, { revision: number; at: number; free: boolean }>();

  constructor(timeoutMs: number, now: () => number = performance.now.bind(performance)) {
    this.#timeoutMs = timeoutMs;
    this.#now = now;
  }

  note(key: string, entry: Entry): void {
    if (this.#seen.get(key)?.revision === entry.revision) return;
    const free = entry.value === undefined || (entry.value as Holder).server === undefined;
    this.#seen.set(key, { revision: entry.revision, at: this.#now(), free });
  }

  /** The revision to replace in order to take the lease, or undefined while somebody holds it. */
  takeable(key: string): number | undefined {
    const seen = this.#seen.get(key);
    if (seen === undefined) return 0;
    return seen.free || this.#now() - seen.at > this.#timeoutMs ? seen.revision : undefined;
  }
}

/** The right to run a job, renewed until it is let go or lost. */
export class Lease {
  readonly #values: KeyValue;
  readonly #key: string;
  readonly #server: string;
  readonly #timeoutMs: number;
  readonly #token: string;
  readonly #lost = new AbortController();
  #revision: number;
  #validUntil: number;
  #timer: NodeJS.Timeout | undefined;
  #renewing: Promise<void> = Promise.resolve();

  private constructor(
    values: KeyValue,
    key: string,
    server: string,
    timeoutMs: number,
    token: string,
    revision: number,
    askedAt: number,
  ) {
    this.#values = values;
    this.#key = key;
    this.#server = server;
    this.#timeoutMs = timeoutMs;
    this.#token = token;
    this.#revision = revision;
    this.#validUntil = askedAt + timeoutMs * trust;
    this.#schedule();
  }

  /** Undefined when another server was faster. Throws NATS_*. */
  static async take(
    values: KeyValue,
    key: string,
    server: string,
    timeoutMs: number,
    revision: number,
  ): Promise<Lease | undefined> {
    const askedAt = performance.now();
    const token = randomUUID();
    const taken = await values.write(key, { server, token }, revision);
    return taken === undefined ? undefined : new Lease(values, key, server, timeoutMs, token, taken, askedAt);
  }

  /** Aborted when another server may have taken over. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * To be awaited right before anything that only the holder may do. A lease that was not renewed in time is ours all the same, if
   * nobody has taken it: that is asked. Throws LEASE_LOST, NATS_*.
   */
  async ensure(): Promise<void> {
    if (this.#lost.signal.aborted) throw this.#lost.signal.reason;
    if (performance.now() < this.#validUntil) return;
    clearTimeout(this.#timer);
    await this.#renewing;
    if (performance.now() >= this.#validUntil) {
      this.#renewing = this.#renew();
      await this.#renewing;
    }
    if (this.#lost.signal.aborted) throw this.#lost.signal.reason;
    if (performance.now() < this.#validUntil) return;
    throw new GatewayError('LEASE_UNSURE', 'whether the job is still this server’s cannot be asked', {
      hint: 'it goes on when NATS answers',
      transient: true,
    });
  }

  async release(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#renewing;
    if (!this.#lost.signal.aborted) {
      await this.#values.write(this.#key, { token: this.#token }, this.#revision).catch(() => undefined);
    }
    this.#lose('it was let go', 'LEASE_LET_GO');
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#renewing = this.#renew();
    }, this.#timeoutMs / renewals);
  }

  async #renew(): Promise<void> {
    if (this.#lost.signal.aborted) return;
    const askedAt = performance.now();
    try {
      const revision = await this.#values.write(this.#key, { server: this.#server, token: this.#token }, this.#revision);
      if (revision === undefined && !(await this.#isOurs())) {
        this.#lose('another server has it');
        return;
      }
      if (revision !== undefined) this.#revision = revision;
      this.#validUntil = askedAt + this.#timeoutMs * trust;
    } catch {
      // No answer is not a no: it is asked again.
    }
    if (!this.#lost.signal.aborted) this.#schedule();
  }

  /** A renewal whose answer was lost looks like another server's. */
  async #isOurs(): Promise<boolean> {
    const entry = await this.#values.get(this.#key);
    if ((entry?.value as Holder | undefined)?.token !== this.#token) return false;
    this.#revision = entry!.revision;
    return true;
  }

  #lose(why: string, code = 'LEASE_LOST'): void {
    clearTimeout(this.#timer);
    if (this.#lost.signal.aborted) return;
    this.#lost.abort(
      new GatewayError(code, `the right to run the job is lost: ${why}`, {
        hint: 'another server goes on, or this one when it can',
        transient: true,
      }),
    );
  }
}
