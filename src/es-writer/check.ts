import { decodeSubject } from '../core/subject.ts';
import { type ElasticClient, ElasticError, indexPath, type Server } from '../elastic/index.ts';
import { examineStream, type NatsLink, natsFailure, type StreamIdentity, streamIdentity } from '../jetstream/index.ts';
import type { Log } from '../service/log.ts';
import { Report } from '../service/check-report.ts';
import type { CheckReport } from '../service/run.ts';
import type { WriterSettings } from './config.ts';
import { IndexNames } from '../core/index-names.ts';
import { connectStreams, connectTarget } from './peers.ts';

/** Indices of the stream that are listed; of the others only their number. */
const indicesListed = 20;

/** `--check`: connects, looks at versions, stream, consumer and permissions, says what would be written where. Changes nothing. */
export async function checkWriter(settings: WriterSettings, log: Log): Promise<CheckReport> {
  const report = new Report();
  // Side by side: who has two mistakes to mend is told both.
  const cluster = await report.attempt(() => connectTarget(settings, log));
  const link = await report.attempt(() => connectStreams(settings, log));
  if (cluster !== undefined) lookAtTarget(report, cluster.client, cluster.server);
  if (link !== undefined) {
    await report.attempt(() => lookAtStream(report, settings, link));
    await report.attempt(() => lookAtDeadLetters(report, settings, link));
    if (cluster !== undefined) await report.attempt(() => lookAtIndices(report, settings, cluster.client, link));
  }
  await cluster?.client.close();
  await link?.close();
  return report.done();
}

function lookAtTarget(report: Report, client: ElasticClient, server: Server): void {
  const version = `${server.distribution} ${server.version.text}`;
  report.say(true, `target       ${version}, cluster ${server.clusterName}, ${client.hosts.join(', ')}`);
}

/** What the user may do with the indices that would be written; where none is known yet, with any. */
async function lookAtPrivileges(report: Report, client: ElasticClient, targets: readonly string[]): Promise<void> {
  const names = targets.length === 0 ? ['*'] : targets.slice(0, indicesListed);
  const answer = await client.request({
    method: 'POST',
    path: '/_security/user/_has_privileges',
    body: JSON.stringify({ index: [{ names, privileges }] }),
  });
  // There is no such API in OpenSearch, nor in Elasticsearch without security.
  if (answer.status !== 200) {
    report.warn('may write    cannot be asked without the security API of Elasticsearch: the first bulk request will tell');
    return;
  }
  const { index } = JSON.parse(answer.body.toString()) as { index: Record<string, Record<string, boolean>> };
  for (const name of names) {
    const lacking = privileges.filter((privilege) => index[name]?.[privilege] !== true);
    if (lacking.length === 0) report.say(true, `may write    ${name}`);
    else if (lacking.join() === 'manage')
      report.warn(
        `may write    ${name}, but not manage it: late writes are checked against the stream instead of index.gc_deletes`,
      );
    else if (name === '*') report.warn(`may write    no index privilege ${lacking.join(', ')} on *: the indices written need it`);
    else report.say(false, `may write    ${name}: grant the index privileges ${lacking.join(', ')}`);
  }
}
const privileges = ['index', 'delete', 'create_index', 'view_index_metadata', 'manage'];

async function lookAtStream(report: Report, settings: WriterSettings, link: NatsLink): Promise<void> {
  const { stream, consumer, filterSubjects } = settings;
  const found = await examineStream(link, stream, 'changes');
  const takes = filterSubjects.length === 0 ? 'every subject' : filterSubjects.join(', ');
  if (found === undefined) {
    report.say(true, `stream       ${stream} on ${link.server}: will be made`);
    report.say(true, `consumer     ${consumer}: will be made, takes ${takes}`);
    return;
  }
  report.say(true, `stream       ${stream} on ${link.server}: there, messages ${range(found.identity)}`);
  for (const warning of found.warnings) report.warn(`stream       ${warning}`);
  const there = await consumerOf(link, stream, consumer);
  if (there === undefined) {
    report.say(true, `consumer     ${consumer}: will be made, takes ${takes}, starts with the first message`);
    return;
  }
  const { config, num_pending, num_ack_pending } = there;
  const before = config.filter_subjects ?? (config.filter_subject === undefined ? [] : [config.filter_subject]);
  const usable = config.deliver_subject === undefined && config.ack_policy === 'explicit';
  report.say(
    usable,
    `consumer     ${consumer}: there, ${num_pending} messages to come, ${num_ack_pending} being written${usable ? '' : '; it is not a pull consumer with explicit acknowledgement: give another --consumer'}`,
  );
  if ([...before].sort().join() !== [...filterSubjects].sort().join()) {
    report.warn(`consumer     ${consumer}: takes ${before.join(', ') || 'every subject'} now, and will take ${takes}`);
  }
}

function range({ firstSeq, lastSeq }: StreamIdentity): string {
  // A stream that never held a message says 0 twice.
  return lastSeq === 0 || firstSeq > lastSeq ? 'none' : `${firstSeq} to ${lastSeq}`;
}

async function consumerOf(link: NatsLink, stream: string, consumer: string) {
  try {
    for await (const info of link.manager.consumers.list(stream)) if (info.name === consumer) return info;
    return undefined;
  } catch (error) {
    throw natsFailure(error, `listing the consumers of stream ${stream}`);
  }
}

async function lookAtDeadLetters(report: Report, settings: WriterSettings, link: NatsLink): Promise<void> {
  const found = await examineStream(link, settings.dlqStream, 'dead letters');
  const state = found === undefined ? 'will be made' : `there, messages ${range(found.identity)}`;
  report.say(true, `dead letters ${settings.dlqStream}: ${state}`);
}

/** The indices whose changes the stream holds, and where they would go. */
async function lookAtIndices(report: Report, settings: WriterSettings, client: ElasticClient, link: NatsLink): Promise<void> {
  const names = new IndexNames(settings.rename);
  const indices = [...(await indicesOf(link, settings.stream))].sort();
  for (const index of indices.slice(0, indicesListed)) {
    const target = names.target(index).name;
    report.say(true, `index        ${index} → ${target}: ${await gcDeletesOf(client, target, settings.gcDeletes)}`);
  }
  if (indices.length > indicesListed) report.say(true, `index        … and ${indices.length - indicesListed} more`);
  if (indices.length === 0) report.say(true, 'indices      the stream holds no changes now');
  await lookAtPrivileges(report, client, [...new Set(indices.map((index) => names.target(index).name))]);
}

async function indicesOf(link: NatsLink, stream: string): Promise<Set<string>> {
  const found = new Set<string>();
  if ((await streamIdentity(link, stream)) === undefined) return found;
  try {
    const info = await link.manager.streams.info(stream, { subjects_filter: 'es.>' });
    for (const subject of Object.keys(info.state.subjects ?? {})) {
      try {
        found.add(decodeSubject(subject).index);
      } catch {
        // Not of ours: the writer will make dead letters of it.
      }
    }
    return found;
  } catch (error) {
    throw natsFailure(error, `reading the subjects of stream ${stream}`);
  }
}

async function gcDeletesOf(client: ElasticClient, index: string, wantedMs: number): Promise<string> {
  try {
    const answer = (await client.json({
      method: 'GET',
      path: indexPath(index, '_settings/index.gc_deletes'),
      query: { flat_settings: true },
    })) as Record<string, { settings?: Record<string, string> }>;
    const values = Object.values(answer).map(({ settings }) => settings?.['index.gc_deletes'] ?? '60s');
    return `there, index.gc_deletes ${values.join(', ') || '60s'}${wantedMs === 0 ? '' : `, raised to ${wantedMs} ms where it is lower`}`;
  } catch (error) {
    if (error instanceof ElasticError && error.status === 404) return 'will be made by the first write';
    throw error;
  }
}
