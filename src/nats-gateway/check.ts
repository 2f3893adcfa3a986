import { describeError } from '../core/errors.ts';
import { changeStreamFor, streamIdentity } from '../jetstream/index.ts';
import type { CheckReport, Frame } from '../service/run.ts';
import type { GatewaySettings } from './config.ts';
import { findBinary } from './embedded.ts';
import { Rules } from './rules.ts';
import { sideUrls } from './start.ts';
import { connectSides, streamNames } from './topology.ts';

/** `--check`: connects, looks at streams, says what would be made and passed on. Changes nothing; an embedded server is not started for it. */
export async function checkGateway(settings: GatewaySettings, frame: Frame): Promise<CheckReport> {
  const lines: string[] = [];
  let ok = true;
  const say = (good: boolean, line: string): void => {
    lines.push(`${good ? 'ok  ' : 'FAIL'} ${line}`);
    ok &&= good;
  };
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      say(false, describeError(error));
    }
  };
  await attempt(async () => {
    const rules = new Rules(settings);
    const { fieldFilters, transforms } = settings;
    say(
      true,
      `rules        ${fieldFilters.rules.length} field filters, ${transforms.rules.length} transforms, ${rules.routes.length} routes`,
    );
  });
  const upstreamGiven = frame.origins['upstreamUrl'] !== 'default';
  if (settings.embedded) {
    await attempt(async () =>
      say(true, `NATS server  ${findBinary(settings.natsBinary, process.env['PATH'] ?? '')}, store in ${settings.storeDir}`),
    );
    if (!upstreamGiven || settings.downstreamUrl === undefined) {
      say(true, 'streams      are made when the embedded server is started');
      return { ok, lines };
    }
  }
  await attempt(async () => {
    const sides = await connectSides(settings, sideUrls(settings, upstreamGiven, undefined), {});
    try {
      const names = streamNames(settings, sides.sameServer);
      const upstream = await streamIdentity(sides.upstream, names.upstream);
      const told = (identity: typeof upstream): string =>
        identity === undefined ? 'will be made' : `there, last sequence ${identity.lastSeq}`;
      say(true, `upstream     ${names.upstream} on ${sides.upstream.server}: ${told(upstream)}`);
      const name = sides.sameServer ? names.downstream : await changeStreamFor(sides.downstream, names.downstream);
      say(true, `downstream   ${name} on ${sides.downstream.server}: ${told(await streamIdentity(sides.downstream, name))}`);
    } finally {
      await sides.upstream.close();
      await sides.downstream.close();
    }
  });
  return { ok, lines };
}
