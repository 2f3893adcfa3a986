import { AckPolicy, DeliverPolicy, ReplayPolicy, type ConsumerInfo, type ConsumerUpdateConfig } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { GatewayError } from '../core/errors.ts';
import type { NatsLink } from './connect.ts';
import { apiCode, apiErrorCode, natsFailure } from './failures.ts';
import { streamMissing } from './publish-verdict.ts';

export type ConsumerSettings = {
  stream: string;
  consumer: string;
  filterSubjects: readonly string[];
  ackWaitMs: number;
  maxAckPending: number;
};

export type EnsuredConsumer = { info: ConsumerInfo; was: 'created' | 'found' | 'changed'; warnings: readonly GatewayError[] };

/**
 * Makes or adopts the durable pull consumer: explicit acknowledgement, from the first message on, delivered until acknowledged, never
 * removed for idleness. Throws STREAM_MISSING, CONSUMER_SHAPE, NATS_*, JETSTREAM_*.
 */
export async function ensureConsumer(link: NatsLink, settings: ConsumerSettings): Promise<EnsuredConsumer> {
  const found = await findConsumer(link, settings);
  if (found !== undefined) return adopt(link, settings, found);
  try {
    const info = await link.manager.consumers.add(settings.stream, {
      durable_name: settings.consumer,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      replay_policy: ReplayPolicy.Instant,
      max_deliver: -1,
      ack_wait: nanos(settings.ackWaitMs),
      max_ack_pending: settings.maxAckPending,
      ...(settings.filterSubjects.length === 0 ? {} : { filter_subjects: [...settings.filterSubjects] }),
    });
    return { info, was: 'created', warnings: [] };
  } catch (error) {
    // Another writer of the same name was faster.
    const rival = apiErrorCode(error) === apiCode.consumerExists ? await findConsumer(link, settings) : undefined;
    if (rival !== undefined) return adopt(link, settings, rival);
    throw natsFailure(error, `creating consumer ${settings.consumer} of stream ${settings.stream}`);
  }
}

/** Undefined: no such consumer. Throws STREAM_MISSING where not even its stream is there. */
export async function findConsumer(link: NatsLink, of: { stream: string; consumer: string }): Promise<ConsumerInfo | undefined> {
  try {
    return await link.manager.consumers.info(of.stream, of.consumer);
  } catch (error) {
    const code = apiErrorCode(error);
    if (code === apiCode.consumerNotFound) return undefined;
    if (code === apiCode.streamNotFound) throw streamMissing(of.stream);
    throw natsFailure(error, `reading consumer ${of.consumer} of stream ${of.stream}`);
  }
}

function checkShape(info: ConsumerInfo): void {
  const { config } = info;
  const wrong =
    config.deliver_subject !== undefined
      ? 'it is a push consumer'
      : config.ack_policy !== AckPolicy.Explicit
        ? `its ack policy is ${config.ack_policy}, not explicit`
        : config.replay_policy === ReplayPolicy.Original
          ? 'it replays at the original speed'
          : undefined;
  if (wrong === undefined) return;
  throw new GatewayError('CONSUMER_SHAPE', `consumer ${info.name} of stream ${info.stream_name} cannot be used: ${wrong}`, {
    hint: `give another name with --consumer (CONSUMER), or delete it: nats consumer rm ${info.stream_name} ${info.name}`,
  });
}

async function adopt(link: NatsLink, settings: ConsumerSettings, info: ConsumerInfo): Promise<EnsuredConsumer> {
  checkShape(info);
  const { config } = info;
  const changes: Partial<ConsumerUpdateConfig> = {};
  const warnings: GatewayError[] = [];
  if (config.ack_wait !== nanos(settings.ackWaitMs)) changes.ack_wait = nanos(settings.ackWaitMs);
  if (config.max_ack_pending !== settings.maxAckPending) changes.max_ack_pending = settings.maxAckPending;
  if ((config.max_deliver ?? -1) > 0) changes.max_deliver = -1;
  if (config.headers_only === true) changes.headers_only = false;
  if ((config.inactive_threshold ?? 0) > 0) changes.inactive_threshold = 0;
  if ((config.backoff ?? []).length > 0) changes.backoff = [];
  const before = config.filter_subjects ?? (config.filter_subject === undefined ? [] : [config.filter_subject]);
  if (before.toSorted().join(' ') !== settings.filterSubjects.toSorted().join(' ')) {
    changes.filter_subject = '';
    changes.filter_subjects = [...settings.filterSubjects];
    const text = `the filter of consumer ${info.name} was [${before.join(', ')}] and is now [${settings.filterSubjects.join(', ')}]`;
    const hint = 'messages that the old filter skipped stay skipped; a consumer of another name starts from the first message';
    warnings.push(new GatewayError('CONSUMER_FILTER_CHANGED', text, { hint }));
  }
  if (Object.keys(changes).length === 0) return { info, was: 'found', warnings };
  try {
    return { info: await link.manager.consumers.update(settings.stream, settings.consumer, changes), was: 'changed', warnings };
  } catch (error) {
    throw natsFailure(error, `changing ${Object.keys(changes).join(', ')} of consumer ${settings.consumer}`);
  }
}
