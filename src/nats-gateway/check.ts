import { describeError } from '../core/errors.ts';
import { changeStreamFor, connectNats, examineStream, type NatsLink } from '../jetstream/index.ts';
import { Report } from '../service/check-report.ts';
import type { CheckReport, Frame } from '../service/run.ts';
import { downstreamConnection, type GatewaySettings, upstreamConnection } from './config.ts';
import { findBinary } from './embedded.ts';
import { Rules } from './rules.ts';
import { sideUrls } from './start.ts';
import { sameJetStream, streamNames } from './topology.ts';

/** Stands for the address of an embedded server, which is not started to be checked. */
const embeddedUrl = 'embedded';

/** `--check`: connects to each side, looks at streams, says what would be made. Changes nothing. */
export async function checkGateway(settings: GatewaySettings, frame: Frame): Promise<CheckReport> {
  const report = new Report();
  const { fieldFilters, transforms } = settings;
  await attempt(report, 'rules', async () => {
    const { routes } = new Rules(settings);
    const counts = `${fieldFilters.rules.length} field filters, ${transforms.rules.length} transforms, ${routes.length} routes`;
    say(report, 'rules', counts);
  });
  if (settings.embedded) {
    await attempt(report, 'NATS server', async () => {
      say(report, 'NATS server', `${findBinary(settings.natsBinary, process.env['PATH'] ?? '')}, store in ${settings.storeDir}`);
    });
  }
  const upstreamGiven = frame.origins['upstreamUrl'] !== 'default';
  const urls = sideUrls(settings, upstreamGiven, settings.embedded ? embeddedUrl : undefined);
  const upstream = await reach(report, 'upstream', urls.upstream, (to) => connectNats(upstreamConnection(settings, to)));
  const together = urls.downstream.toSorted().join() === urls.upstream.toSorted().join();
  const downstream = together
    ? upstream
    : await reach(report, 'downstream', urls.downstream, (to) => connectNats(downstreamConnection(settings, to)));
  try {
    await lookAtStreams(report, settings, { upstream, downstream, together });
  } finally {
    await upstream?.close();
    await downstream?.close();
  }
  return report.done();
}

type Reached = { upstream: NatsLink | undefined; downstream: NatsLink | undefined; together: boolean };

/** What can be seen from here: with one side away, the streams of the other all the same. */
async function lookAtStreams(
  report: Report,
  settings: GatewaySettings,
  { upstream, downstream, together }: Reached,
): Promise<void> {
  const sameServer =
    together || (upstream !== undefined && downstream !== undefined && (await sameJetStream(upstream, downstream)));
  await attempt(report, 'streams', async () => {
    const names = streamNames(settings, sameServer);
    if (upstream !== undefined) await lookAt(report, 'upstream', upstream, names.upstream, 'changes');
    if (downstream === undefined) return;
    const name = sameServer ? names.downstream : await changeStreamFor(downstream, names.downstream);
    await lookAt(report, 'downstream', downstream, name, sameServer ? 'output' : 'changes');
  });
}

async function lookAt(report: Report, side: string, link: NatsLink, name: string, of: 'changes' | 'output'): Promise<void> {
  await attempt(report, side, async () => {
    const found = await examineStream(link, name, of);
    const there = found === undefined ? 'will be made' : `there, last sequence ${found.identity.lastSeq}`;
    say(report, side, `${name} on ${link.server}: ${there}`);
    for (const warning of found?.warnings ?? []) report.warn(`${side.padEnd(12)} ${warning}`);
  });
}

async function reach(
  report: Report,
  side: string,
  urls: readonly string[],
  connect: (urls: readonly string[]) => Promise<NatsLink>,
): Promise<NatsLink | undefined> {
  let link: NatsLink | undefined;
  if (urls[0] === embeddedUrl) say(report, side, 'the embedded server: its streams are made when it is started');
  else await attempt(report, side, async () => void (link = await connect(urls)));
  return link;
}

function say(report: Report, about: string, text: string): void {
  report.say(true, `${about.padEnd(12)} ${text}`);
}

async function attempt(report: Report, about: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    report.say(false, `${about.padEnd(12)} ${describeError(error)}`);
  }
}
