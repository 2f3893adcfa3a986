import type { GatewayError } from '../core/errors.ts';
import type { ObjectStore } from '../core/strategy.ts';
import type { NatsLink } from '../jetstream/index.ts';
import type { Nats3Settings } from './config.ts';
import type { JobMeters } from './metrics.ts';
import type { Lease } from './lease.ts';
import type { Ledger } from './ledger.ts';

/** What a session of a job works with. */
export type JobContext = {
  link: NatsLink;
  /** Tries again for as long as it takes, and says so by `trouble`. */
  store: ObjectStore;
  settings: Pick<Nats3Settings, 'inflightBytesMax' | 'uploadsMax'>;
  ledger: Ledger;
  lease: Lease;
  meters: JobMeters;
  /** Finish what is under way, and take nothing new. */
  stop: AbortSignal;
  /** Drop everything: the lease is lost, or finishing takes too long. */
  abandon: AbortSignal;
  /** A state that lasts, under a name: told when it begins and, as undefined, when it is over. */
  trouble(about: string, error: GatewayError | undefined): void;
  /** Something to know that does not last. */
  notice(error: GatewayError): void;
};
