import { describeError } from '../core/errors.ts';
import { clientOptionsOf, createClient, identify } from '../elastic/index.ts';
import { findBinary } from '../nats-gateway/embedded.ts';
import { Report } from '../service/check-report.ts';
import type { Log } from '../service/log.ts';
import type { CheckReport } from '../service/run.ts';
import type { SyncSettings } from './config.ts';
import { halvesOf } from './halves.ts';

/** `--check`: looks at both clusters and for the NATS server, which is not started for it. */
export async function checkSync(settings: SyncSettings, log: Log): Promise<CheckReport> {
  const report = new Report();
  const attempt = async (look: () => Promise<string> | string): Promise<void> => {
    try {
      report.say(true, await look());
    } catch (error) {
      report.say(false, describeError(error));
    }
  };
  const { watcher, writer } = await halvesOf(settings, { natsUrl: 'nats://127.0.0.1', natsToken: 'not used' });
  for (const [side, half] of Object.entries({ source: watcher, target: writer })) {
    await attempt(async () => {
      const client = createClient(clientOptionsOf(half));
      try {
        const { distribution, version, clusterName, warning } = await identify(client);
        if (warning !== undefined) log.warn(warning);
        return `${side}       ${distribution} ${version.text}, cluster ${clusterName}, ${client.hosts.join(', ')}`;
      } finally {
        await client.close();
      }
    });
  }
  await attempt(
    () => `NATS server  ${findBinary(settings.natsBinary, process.env['PATH'] ?? '')}, all data in ${settings.dataDir}`,
  );
  return report.done();
}
