import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { describeError } from '../core/errors.ts';
import {
  createIndexDirectory,
  type ElasticClient,
  indexPath,
  type IndexFacts,
  parseIndexPatterns,
  refresh,
  type Server,
  shardStats,
} from '../elastic/index.ts';
import { changeStreamFor, type NatsLink, streamIdentity } from '../jetstream/index.ts';
import type { Log } from '../service/log.ts';
import { Report } from '../service/check-report.ts';
import type { CheckReport } from '../service/run.ts';
import type { WatcherSettings } from './config.ts';
import { cautions, unfollowable } from './followable.ts';
import { memoryPath } from './schema.ts';
import { connectSource, connectStreams } from './peers.ts';

/** `--check`: connects, looks at versions, permissions, indices and the stream, says what would be watched. Changes nothing. */
export async function checkWatcher(settings: WatcherSettings, log: Log): Promise<CheckReport> {
  const report = new Report();
  const path = checkpointTrouble(settings.checkpointPath);
  report.say(path === undefined, `checkpoint   ${settings.checkpointPath}${path === undefined ? '' : `: ${path}`}`);
  // Side by side: who has two mistakes to mend is told both.
  const cluster = await report.attempt(() => connectSource(settings, log));
  const link = await report.attempt(() => connectStreams(settings, log));
  if (cluster !== undefined) saySource(report, cluster.server);
  if (link !== undefined) await report.attempt(() => sayStream(report, settings.stream, link));
  if (cluster !== undefined) await report.attempt(() => lookAtIndices(report, settings, cluster.client));
  await cluster?.client.close();
  await link?.close();
  return report.done();
}

function saySource(report: Report, { distribution, version, clusterName, clusterUuid }: Server): void {
  report.say(true, `source       ${distribution} ${version.text}, cluster ${clusterName} (${clusterUuid})`);
}

async function sayStream(report: Report, wanted: string, link: NatsLink): Promise<void> {
  const name = await changeStreamFor(link, wanted);
  const stream = await streamIdentity(link, name);
  const state = stream === undefined ? 'will be made' : `there, last sequence ${stream.lastSeq}`;
  report.say(true, `stream       ${name} on ${link.server}: ${state}`);
}

async function lookAtIndices(report: Report, settings: WatcherSettings, client: ElasticClient): Promise<void> {
  const patterns = settings.indexPatterns.join(',');
  const found = await createIndexDirectory(client, parseIndexPatterns(patterns)).read();
  await checkPermissions(report, client, found, settings.refresh === 'force');
  for (const facts of found) sayIndex(report, facts);
  if (found.length === 0) report.say(true, `indices      none match ${patterns} now; new ones are followed as they come`);
}

/** Statistics and a search on one index that is to be followed, and a refresh where the watcher will refresh: what each needs is named. */
async function checkPermissions(
  report: Report,
  client: ElasticClient,
  found: readonly IndexFacts[],
  refreshes: boolean,
): Promise<void> {
  const sample = found.find((facts) => !facts.closed && unfollowable(facts) === undefined);
  if (sample === undefined) return;
  const attempts: [string, () => Promise<unknown>][] = [
    ['_stats (privilege monitor)', () => shardStats(client, [sample.name])],
    ['_search (privilege read)', () => client.ok({ method: 'GET', path: indexPath(sample.name, '_search'), query: { size: 0 } })],
  ];
  if (refreshes) attempts.push(['_refresh (privilege maintenance, or --refresh passive)', () => refresh(client, sample.name)]);
  for (const [what, attempt] of attempts) {
    try {
      await attempt();
      report.say(true, `may call     ${what} on ${sample.name}`);
    } catch (error) {
      report.say(false, `may call     ${what} on ${sample.name}: ${describeError(error)}`);
    }
  }
}

function sayIndex(report: Report, facts: IndexFacts): void {
  const refusal = unfollowable(facts);
  if (refusal !== undefined) {
    report.warn(`not followed ${describeError(refusal)}`);
    return;
  }
  const belongs = facts.dataStream === undefined ? '' : `, data stream ${facts.dataStream}`;
  report.say(
    true,
    `index        ${facts.name}: ${facts.shards} shards${facts.closed ? ', closed: followed once it is open' : ''}${belongs}`,
  );
  for (const caution of cautions(facts)) report.warn(`index        ${facts.name}: ${caution}`);
}

function checkpointTrouble(path: string): string | undefined {
  if (path === memoryPath) return undefined;
  let nearest = resolve(path);
  while (!existsSync(nearest)) nearest = dirname(nearest);
  try {
    accessSync(nearest, constants.W_OK | constants.X_OK);
    return undefined;
  } catch {
    return `${nearest} cannot be written; make it writable for this user, or set --checkpoint-path (CHECKPOINT_PATH)`;
  }
}
