import type { GatewayError } from '../core/errors.ts';
import { connectNats, type NatsLink } from '../jetstream/index.ts';
import type { GatewaySettings } from './config.ts';
import type { Observer } from './observer.ts';
import { Output, type OutputPlan } from './outputs.ts';
import type { Route } from './rule-settings.ts';
import { mainPlan, routePlan, type Sides } from './topology.ts';

/** All outputs by name: `main`, and one a route. */
export class OutputSet {
  readonly #settings: GatewaySettings;
  readonly #sides: Sides;
  readonly #observer: Observer;
  readonly #main: OutputPlan;
  readonly #outputs = new Map<string, { output: Output; to: string }>();
  readonly #links = new Map<string, Promise<NatsLink>>();

  /** Throws STREAM_*, NATS_*, JETSTREAM_*. */
  static async open(
    settings: GatewaySettings,
    sides: Sides,
    stream: string,
    routes: readonly Route[],
    observer: Observer,
  ): Promise<OutputSet> {
    const main = await mainPlan(settings, sides, stream);
    const set = new OutputSet(settings, sides, main, observer);
    try {
      await set.#add(main, '');
      await set.open(routes);
      return set;
    } catch (error) {
      await set.close();
      throw error;
    }
  }

  private constructor(settings: GatewaySettings, sides: Sides, main: OutputPlan, observer: Observer) {
    this.#settings = settings;
    this.#sides = sides;
    this.#main = main;
    this.#observer = observer;
  }

  get(name: string): Output {
    return this.#outputs.get(name)!.output;
  }

  get full(): Output[] {
    return [...this.#outputs.values()].map(({ output }) => output).filter(({ full }) => full);
  }

  /** Opens the outputs of routes that have none yet. What a route of the same name had before is used no more, and kept until the end. */
  async open(routes: readonly Route[]): Promise<void> {
    for (const route of routes) {
      const to = JSON.stringify(route.to);
      if (this.#outputs.get(route.name)?.to === to) continue;
      const link = route.to.url === undefined ? this.#sides.downstream : await this.#link(route.to.url);
      await this.#add(routePlan(this.#settings, this.#sides, this.#main, route, link), to);
    }
  }

  #link(url: string): Promise<NatsLink> {
    let link = this.#links.get(url);
    if (link === undefined) {
      link = connectNats({ urls: [url], name: 'nats-gateway' });
      this.#links.set(url, link);
      link.catch(() => this.#links.delete(url));
    }
    return link;
  }

  async #add(plan: OutputPlan, to: string): Promise<void> {
    const output = await Output.open(plan, {
      onFull: (name, full, reason) => {
        if (full) this.#observer.notice('a stream downstream is full: waiting for room', { output: name, reason });
        else this.#observer.info('the stream downstream has room again', { output: name });
      },
      onRetry: (name) => this.#observer.meters.retries.with({ output: name }).inc(),
      onNotice: (name, text) => this.#observer.notice(text, { output: name }),
    });
    const former = this.#outputs.get(plan.name);
    this.#outputs.set(plan.name, { output, to });
    // What is on its way there is still to be stored.
    if (former !== undefined) this.#outputs.set(`${plan.name} before ${this.#outputs.size}`, former);
  }

  stats(): object {
    return Object.fromEntries(
      [...this.#outputs].map(([name, { output }]) => {
        const { plan, inFlight, full, space } = output;
        const { server, connected } = plan.link;
        return [
          name,
          { server, connected, stream: plan.stream, inFlight, full, streamBytes: space.bytes, streamMaxBytes: space.maxBytes },
        ];
      }),
    );
  }

  abandon(error: GatewayError): void {
    for (const { output } of this.#outputs.values()) output.abandon(error);
  }

  async close(): Promise<void> {
    for (const { output } of this.#outputs.values()) await output.close();
    for (const link of this.#links.values()) await (await link.catch(() => undefined))?.close();
  }
}
