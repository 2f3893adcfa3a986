import { DiscardPolicy, RetentionPolicy, type StreamConfig, type StreamInfo } from '@nats-io/jetstream';
import { GatewayError } from '../core/errors.ts';
import { covers } from '../core/subject.ts';

const unlimited = (limit: number | undefined): boolean => limit === undefined || limit <= 0;

function refuse(name: string, what: string, hint: string): GatewayError {
  return new GatewayError('STREAM_SHAPE', `stream ${name} cannot be used: ${what}`, { hint });
}

/**
 * Checks that an existing stream neither drops messages that nobody has read nor refuses ours. Returns warnings; throws STREAM_SHAPE,
 * which names the setting of the stream and the command that changes it.
 */
export function checkShape(info: StreamInfo, subjects: readonly string[]): string[] {
  const config: StreamConfig = info.config;
  const name = config.name;
  const edit = (flag: string): string => `nats stream edit ${name} ${flag}, or give another stream with --stream (STREAM)`;
  if (config.mirror !== undefined)
    throw refuse(name, 'it is a mirror, which takes no messages of its own', 'give another stream with --stream (STREAM)');
  if (config.sealed) throw refuse(name, 'it is sealed', 'give another stream with --stream (STREAM)');
  if (config.retention !== RetentionPolicy.Limits) {
    const hint = `delete it once it is read, so that it is made anew, or give another stream with --stream (STREAM)`;
    throw refuse(name, `its retention is ${config.retention}, and only limits keeps what a later consumer needs`, hint);
  }
  if (config.discard !== DiscardPolicy.New && !(unlimited(config.max_bytes) && unlimited(config.max_msgs))) {
    throw refuse(name, 'it discards old messages when it is full, read or not', edit('--discard=new'));
  }
  if (!unlimited(config.max_msgs_per_subject)) {
    throw refuse(name, 'it keeps a limited number of messages per subject, read or not', edit('--max-msgs-per-subject=-1'));
  }
  if (config.no_ack === true) throw refuse(name, 'it does not acknowledge what is published', edit('--ack'));
  if (config.deny_purge)
    throw refuse(name, 'it may not be purged, so it would fill up', 'give another stream with --stream (STREAM)');
  // The gateway sets a stream subject transform back to our subjects: what consumers see is then the transform's business.
  const uncovered = subjects.filter((subject) => !(config.subjects ?? []).some((pattern) => covers(pattern, subject)));
  if (uncovered.length > 0 && config.subject_transform === undefined) {
    throw refuse(
      name,
      `its subjects [${(config.subjects ?? []).join(', ')}] do not include ${uncovered.join(', ')}`,
      edit(`--subjects=${subjects.join(',')}`),
    );
  }
  const warnings: string[] = [];
  if (!unlimited(config.max_age)) {
    warnings.push(
      `stream ${name} drops messages after ${Math.round(config.max_age / 1e9)} s, read or not: a consumer that is away longer misses changes` +
        ` (${edit('--max-age=-1')})`,
    );
  }
  if (config.allow_msg_ttl === true) warnings.push(`stream ${name} allows messages to expire by a header of their own`);
  return warnings;
}
