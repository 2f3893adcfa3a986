import { GatewayError } from '../core/errors.ts';
import type { DeadLetters, NatsLink } from '../jetstream/index.ts';
import type { Observer } from './observer.ts';
import type { OutputSet } from './output-set.ts';
import type { Ground } from './start.ts';

/** A stream or store that holds this part of its limit is as good as full. */
const nearlyFull = 0.97;

/** Why the gateway cannot do its work now. */
export function reasonsAgainst(
  ground: Ground,
  outputs: OutputSet,
  letters: DeadLetters,
  observer: Observer,
  paused: boolean,
): string[] {
  const { embedded, sides } = ground;
  const reasons: string[] = [];
  if (embedded !== undefined && embedded.state.is !== 'running') reasons.push('the embedded NATS server is being started again');
  if (!sides.upstream.connected) reasons.push('not connected to NATS upstream: see --upstream-url (UPSTREAM_URL)');
  if (!sides.downstream.connected) reasons.push('not connected to NATS downstream: see --downstream-url (DOWNSTREAM_URL)');
  for (const { plan } of outputs.full) {
    reasons.push(
      `stream ${plan.stream} is full: raise --stream-max-bytes (STREAM_MAX_BYTES), or see why a consumer does not acknowledge`,
    );
  }
  if (paused) reasons.push('paused by an operator: POST /resume goes on');
  if (letters.trouble !== undefined) reasons.push(`${letters.trouble}: see --dlq-stream (DLQ_STREAM)`);
  return [...reasons, ...observer.troubles];
}

/** Whether whoever publishes upstream finds no room. `storeBytesMax` is that of an embedded server. */
export async function shortage(
  link: NatsLink,
  stream: string,
  storeBytesMax: number | undefined,
): Promise<GatewayError | undefined> {
  const { state, config } = await link.manager.streams.info(stream);
  if (config.max_bytes > 0 && state.bytes >= config.max_bytes * nearlyFull) {
    return new GatewayError('STREAM_FULL', `stream ${stream} is full: publishers upstream wait`, {
      hint: 'see what keeps the gateway from passing on, or raise the stream’s limit',
    });
  }
  if (storeBytesMax === undefined) return undefined;
  const { storage } = await link.manager.getAccountInfo();
  if (storage < storeBytesMax * nearlyFull) return undefined;
  return new GatewayError('STORE_FULL', `the store of the embedded NATS server holds ${storage} bytes: publishers wait`, {
    hint: 'see what keeps consumers from acknowledging, or raise --js-max-file (JS_MAX_FILE)',
  });
}
