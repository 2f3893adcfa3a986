import { connectNats, KeyValue, natsSettingsOf, type NatsLink } from '../jetstream/index.ts';
import type { Frame, Running } from '../service/run.ts';
import { Buckets } from './buckets.ts';
import type { Nats3Settings } from './config.ts';
import { JobBook } from './job-book.ts';
import { jobKey } from './job.ts';
import { Keeper } from './keeper.ts';
import { nats3Metrics } from './metrics.ts';
import { Service } from './service.ts';

/** The server: reaches NATS, keeps the jobs, and answers the API. */
export class Server {
  readonly #settings: Nats3Settings;
  readonly #frame: Frame;
  #service: Service | undefined;

  constructor(settings: Nats3Settings, frame: Frame) {
    this.#settings = settings;
    this.#frame = frame;
  }

  /** Undefined until NATS was reached. */
  get service(): Service | undefined {
    return this.#service;
  }

  async start(): Promise<Running> {
    const { log, metrics, stopping } = this.#frame;
    const settings = this.#settings;
    const meters = nats3Metrics(metrics);
    const buckets = new Buckets(settings);
    let waiting = 'starting';
    this.#frame.report({ ready: () => [waiting] });
    const ended = Promise.withResolvers<void>();
    const link = await connectNats(natsSettingsOf(settings, 'nats3'), {
      waitOnFirstConnect: true,
      onWaiting: (error) => {
        if (waiting !== error.message) log.warn({ code: error.code, hint: error.hint }, error.message);
        waiting = error.message;
      },
      onState: (state) => log.info({ server: state.server }, `NATS ${state.is}`),
      onClosed: (error) => (error === undefined ? ended.resolve() : ended.reject(error)),
      signal: stopping,
    });
    const values = await KeyValue.open(link, settings.kvBucket, settings.kvReplicas);
    let keeper: Keeper | undefined;
    const book = await JobBook.open(values, settings.leaseTimeout, () => keeper?.look());
    keeper = new Keeper({ link, book, buckets, settings, metrics, meters, log });
    this.#service = new Service({ link, buckets, settings }, book, keeper);
    this.#frame.report({ ready: () => this.#reasonsAgainst(link), stats: () => this.#stats(book, keeper) });
    log.info({ server: keeper.server, nats: link.server, bucket: settings.kvBucket }, 'nats3 is ready');
    keeper.look();
    return {
      done: ended.promise,
      stop: async () => {
        await keeper.stop();
        book.close();
        await link.close();
        await buckets.close();
      },
    };
  }

  #reasonsAgainst(link: NatsLink): string[] {
    return link.connected ? [] : [`NATS at ${link.server} cannot be reached: see --nats-url (NATS_URL)`];
  }

  #stats(book: JobBook, keeper: Keeper): object {
    const jobs = book.records().map((record) => {
      const { kind, name, wanted } = record;
      const state = keeper.stateOf(jobKey(record));
      return {
        kind,
        name,
        wanted,
        status: state?.status,
        reason: state?.reason,
        server: state?.server,
        messages: state?.messages,
      };
    });
    return { server: keeper.server, running: keeper.running, jobs };
  }
}
