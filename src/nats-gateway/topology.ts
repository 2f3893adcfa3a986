import { UsageError } from '../core/errors.ts';
import {
  changeStreamFor,
  connectNats,
  type ConnectOptions,
  type EnsuredStream,
  ensureChangeStream,
  ensureOutputStream,
  type NatsLink,
  rawStreamOf,
  type StreamSettings,
} from '../jetstream/index.ts';
import { downstreamConnection, type GatewaySettings, mainOutput, upstreamConnection } from './config.ts';
import type { OutputPlan } from './outputs.ts';
import type { Route } from './rule-settings.ts';

const changePrefix = 'es';
const changeStream = 'ES_CHANGES';

/** Both sides, connected. Links are the same object where the sides are the same servers by name. */
export type Sides = { upstream: NatsLink; downstream: NatsLink; sameServer: boolean };

export type SideUrls = { upstream: readonly string[]; downstream: readonly string[] };

/** Connects to both sides, waiting for either as long as it takes. */
export async function connectSides(settings: GatewaySettings, urls: SideUrls, options: ConnectOptions): Promise<Sides> {
  const alike = urls.upstream.toSorted().join() === urls.downstream.toSorted().join();
  const up = connectNats(upstreamConnection(settings, urls.upstream), options);
  if (alike) {
    const link = await up;
    return { upstream: link, downstream: link, sameServer: true };
  }
  const [upstream, downstream] = await bothOrNone(up, connectNats(downstreamConnection(settings, urls.downstream), options));
  return { upstream, downstream, sameServer: await sameJetStream(upstream, downstream) };
}

async function bothOrNone(one: Promise<NatsLink>, two: Promise<NatsLink>): Promise<[NatsLink, NatsLink]> {
  const settled = await Promise.allSettled([one, two]);
  const failed = settled.find((each) => each.status === 'rejected');
  if (failed === undefined)
    return settled.map((each) => (each as PromiseFulfilledResult<NatsLink>).value) as [NatsLink, NatsLink];
  for (const each of settled) if (each.status === 'fulfilled') await each.value.close();
  throw failed.reason;
}

/** One server may have several names. Two accounts of it are as separate as two servers. */
export async function sameJetStream(one: NatsLink, two: NatsLink): Promise<boolean> {
  const [a, b] = [one.connection.info, two.connection.info];
  const together = a?.server_id === b?.server_id || (a?.cluster !== undefined && a.cluster === b?.cluster);
  return together && one.apiPrefix === two.apiPrefix && (await accountOf(one)) === (await accountOf(two));
}

/** `$SYS.REQ.USER.INFO` tells a user of its own account (nats-server 2.10). */
async function accountOf(link: NatsLink): Promise<string> {
  try {
    const reply = await link.connection.request('$SYS.REQ.USER.INFO', undefined, { timeout: 2_000 });
    return reply.json<{ data?: { account?: string } }>().data?.account ?? '';
  } catch {
    return '';
  }
}

/** Names of the two streams. Throws UsageError where they would be one. */
export function streamNames(settings: GatewaySettings, sameServer: boolean): { upstream: string; downstream: string } {
  const downstream = settings.downstreamStream;
  const upstream = settings.upstreamStream ?? (sameServer ? rawStreamOf(downstream) : changeStream);
  if (!sameServer || upstream !== downstream) return { upstream, downstream };
  throw new UsageError(
    'SETTING_WRONG',
    `--upstream-stream and --downstream-stream are both ${upstream}, on one server`,
    'give one of them another name',
  );
}

function streamSettings(settings: GatewaySettings, name: string): StreamSettings {
  const limit = settings.streamMaxBytes === undefined ? {} : { maxBytes: settings.streamMaxBytes };
  return { name, replicas: settings.streamReplicas, ...limit };
}

/**
 * The main output. On the server that also holds the stream read from, what the gateway publishes has a prefix, which the stream takes off
 * again: so both streams show the subjects `es.>`, and programs on either side keep their defaults.
 */
export async function mainPlan(settings: GatewaySettings, sides: Sides, stream: string): Promise<OutputPlan> {
  const link = sides.downstream;
  const common = { name: mainOutput, link, keepMs: settings.streamKeep, replicas: settings.streamReplicas };
  if (sides.sameServer) {
    const prefix = `gateway.${stream}`;
    const ensure = (): Promise<EnsuredStream> => ensureOutputStream(link, prefix, streamSettings(settings, stream));
    return { ...common, stream, prefix: `${prefix}.${changePrefix}`, ensure };
  }
  const name = await changeStreamFor(link, stream);
  return {
    ...common,
    stream: name,
    prefix: changePrefix,
    ensure: () => ensureChangeStream(link, streamSettings(settings, name)),
  };
}

/**
 * A route's output. With a prefix its messages have other subjects than the changes, `{prefix}.{tenant}.{index}.{operation}`, and by itself
 * a prefix makes a stream of its own, `ES_CHANGES_{prefix}`; without one
 * they keep `es.>`, for which on the server that has such a stream already the same is done as for the main output.
 */
export function routePlan(settings: GatewaySettings, sides: Sides, main: OutputPlan, route: Route, link: NatsLink): OutputPlan {
  const { prefix, stream } = route.to;
  const common = { name: route.name, link, keepMs: settings.streamKeep, replicas: settings.streamReplicas };
  const elsewhere = link !== sides.upstream && link !== sides.downstream;
  const name = stream ?? (prefix === undefined ? changeStream : `${main.stream}_${prefix}`);
  const made = streamSettings(settings, name);
  if (prefix !== undefined)
    return { ...common, stream: name, prefix, ensure: () => ensureChangeStream(link, { ...made, subjects: [`${prefix}.>`] }) };
  if (elsewhere) return { ...common, stream: name, prefix: changePrefix, ensure: () => ensureChangeStream(link, made) };
  const own = `gateway.${name}`;
  return { ...common, stream: name, prefix: `${own}.${changePrefix}`, ensure: () => ensureOutputStream(link, own, made) };
}

export function ensureUpstream(settings: GatewaySettings, link: NatsLink, stream: string): Promise<EnsuredStream> {
  return ensureChangeStream(link, { name: stream, readOnly: true, replicas: settings.streamReplicas });
}
