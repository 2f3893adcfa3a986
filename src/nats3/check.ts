import { describeError } from '../core/errors.ts';
import { connectNats, findStream, natsSettingsOf } from '../jetstream/index.ts';
import { Report } from '../service/check-report.ts';
import type { CheckReport } from '../service/run.ts';
import { Buckets } from './buckets.ts';
import type { Nats3Settings } from './config.ts';

/** `--check`: reaches NATS and the storage, and looks at the bucket of jobs. Changes nothing. */
export async function checkServer(settings: Nats3Settings): Promise<CheckReport> {
  const report = new Report();
  try {
    const link = await connectNats(natsSettingsOf(settings, 'nats3'));
    try {
      const { version = '' } = link.connection.info ?? {};
      report.say(true, `NATS     ${link.server}, nats-server ${version}, with JetStream`);
      const info = await findStream(link, `KV_${settings.kvBucket}`);
      const there = info === undefined ? 'will be made' : `there, ${info.state.messages} keys`;
      report.say(true, `jobs     key-value bucket ${settings.kvBucket}: ${there}`);
    } finally {
      await link.close();
    }
  } catch (error) {
    report.say(false, describeError(error));
  }
  const where = settings.s3Endpoint ?? 'Amazon S3';
  try {
    const buckets = new Buckets(settings);
    // Any name does: that it is not there is an answer too, and one that takes credentials.
    await buckets.bucket('nats3-check').bucket('exists');
    await buckets.close();
    report.say(true, `storage  ${where} answers, and takes the credentials`);
  } catch (error) {
    report.say(false, `${where}: ${describeError(error)}`);
  }
  return report.done();
}
