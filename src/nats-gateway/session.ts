import { describeError, GatewayError } from '../core/errors.ts';
import type { Frame, Running } from '../service/run.ts';
import type { Desk } from './admin-routes.ts';
import type { GatewaySettings } from './config.ts';
import { Gateway } from './gateway.ts';
import { Observer } from './observer.ts';
import { type InForce, merged, readAgain, type ReloadReport, shownSettings } from './reload.ts';
import { openGround } from './start.ts';

/** One run of the gateway, from its start on, with what an operator can ask of it. */
export class Session implements Desk {
  readonly #frame: Frame;
  readonly #argv: readonly string[];
  #inForce: InForce;
  #gateway: Gateway | undefined;
  #reloading: Promise<ReloadReport> | undefined;

  constructor(settings: GatewaySettings, frame: Frame, argv: readonly string[]) {
    this.#frame = frame;
    this.#argv = argv;
    this.#inForce = { values: settings, origins: frame.origins };
  }

  async start(): Promise<Running> {
    // Without a listener the signal would end the program.
    process.on('SIGHUP', () => void this.reload().catch(() => undefined));
    const { values, origins } = this.#inForce;
    const observer = new Observer(this.#frame.log, this.#frame.metrics);
    this.#frame.report({ ready: () => ['starting', ...observer.troubles] });
    const ground = await openGround(values, origins['upstreamUrl'] !== 'default', this.#frame, observer);
    let gateway: Gateway;
    try {
      gateway = await Gateway.open(values, this.#frame, observer, ground);
    } catch (error) {
      await ground.sides.upstream.close();
      await ground.sides.downstream.close();
      await ground.embedded?.stop();
      throw error;
    }
    this.#gateway = gateway;
    this.#frame.report(gateway.probes);
    return { stop: () => gateway.stop(), done: gateway.run() };
  }

  config(): object {
    return shownSettings(this.#inForce);
  }

  /** One at a time; whoever asks meanwhile gets the answer of the one under way. */
  reload(): Promise<ReloadReport> {
    this.#reloading ??= this.#reload().finally(() => (this.#reloading = undefined));
    return this.#reloading;
  }

  async #reload(): Promise<ReloadReport> {
    const { log, version } = this.#frame;
    const gateway = this.#started();
    const reloads = gateway.reloads;
    try {
      const { after, report } = merged(this.#inForce, await readAgain(this.#argv, process.env, version));
      await gateway.apply(after.values);
      this.#inForce = after;
      reloads.with({ result: 'done' }).inc();
      log.info(report, 'settings read again');
      return report;
    } catch (error) {
      reloads.with({ result: 'refused' }).inc();
      log.warn({ reason: describeError(error) }, 'the settings were read again and are refused: the old ones hold');
      throw error;
    }
  }

  pause(): void {
    this.#started().pause();
  }

  resume(): void {
    this.#started().resume();
  }

  #started(): Gateway {
    if (this.#gateway !== undefined) return this.#gateway;
    throw new GatewayError('NOT_STARTED', 'the gateway is still starting', {
      hint: 'ask again once /health/ready says what it waits for',
      transient: true,
    });
  }
}
