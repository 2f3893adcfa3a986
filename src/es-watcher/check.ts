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
  shardStats,
} from '../elastic/index.ts';
import { changeStreamFor, streamIdentity } from '../jetstream/index.ts';
import type { Log } from '../service/log.ts';
import { Report } from '../service/check-report.ts';
import type { CheckReport } from '../service/run.ts';
import type { WatcherSettings } from './config.ts';
import { cautions, unfollowable } from './followable.ts';
import { memoryPath } from './schema.ts';
import { connectPeers, type Peers } from './watcher.ts';

/** `--check`: connects, looks at versions, permissions, indices and the stream, says what would be watched. Changes nothing. */
export async function checkWatcher(settings: WatcherSettings, log: Log): Promise<CheckReport> {
  const report = new Report();
  const path = checkpointTrouble(settings.checkpointPath);
  report.say(path === undefined, `checkpoint   ${settings.checkpointPath}${path === undefined ? '' : `: ${path}`}`);
  let peers: Peers;
  try {
    peers = await connectPeers(settings, log);
  } catch (error) {
    report.say(false, describeError(error));
    return report.done();
  }
  const { client, server, link } = peers;
  try {
    report.say(
      true,
      `source       ${server.distribution} ${server.version.text}, cluster ${server.clusterName} (${server.clusterUuid})`,
    );
    const name = await changeStreamFor(link, settings.stream);
    const stream = await streamIdentity(link, name);
    report.say(
      true,
      `stream       ${name} on ${link.server}: ${stream === undefined ? 'will be made' : `there, last sequence ${stream.lastSeq}`}`,
    );
    const found = await createIndexDirectory(client, parseIndexPatterns(settings.indexPatterns.join(','))).read();
    await checkPermissions(report, client, found, settings.refresh === 'force');
    for (const facts of found) sayIndex(report, facts);
    if (found.length === 0)
      report.say(true, `indices      none match ${settings.indexPatterns.join(',')} now; new ones are followed as they come`);
  } catch (error) {
    report.say(false, describeError(error));
  } finally {
    await client.close();
    await link.close();
  }
  return report.done();
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
