import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { provision } from '../scripts/provision.ts';
import { startNats, startS3, temporaryDirectory } from '../scripts/servers.ts';

/** NATS with JetStream on port 4222, S3 storage on 7070, and `nats3 server` on 8080 (NATS_PORT, S3_PORT, NATS3_PORT); all end with this process. Flags are passed on. */
const { NATS_PORT = '4222', S3_PORT = '7070', NATS3_PORT = '8080' } = process.env;
await provision(['nats', 's3']);
const nats = await startNats({ storeDir: temporaryDirectory('nats'), port: Number(NATS_PORT) });
const { server: s3, credentials } = await startS3({ dataDir: temporaryDirectory('s3'), port: Number(S3_PORT) });

process.stdout.write(`for other terminals:
  export PATH="${join(import.meta.dirname, '..', 'bin')}:$PATH" NATS_URL=${nats.url} S3_ENDPOINT=${s3.url} NATS3_SERVER=http://127.0.0.1:${NATS3_PORT}
  export AWS_ACCESS_KEY_ID=${credentials.accessKey} AWS_SECRET_ACCESS_KEY=${credentials.secretKey} AWS_REGION=${credentials.region}

`);
const child = spawn(join(import.meta.dirname, '../bin/nats3'), ['server', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: {
    ...process.env,
    NATS_URL: nats.url,
    S3_ENDPOINT: s3.url,
    NATS3_LISTEN: `127.0.0.1:${NATS3_PORT}`,
    AWS_ACCESS_KEY_ID: credentials.accessKey,
    AWS_SECRET_ACCESS_KEY: credentials.secretKey,
    AWS_REGION: credentials.region,
  },
});
// Ctrl-C reaches both; whoever ends this one alone means both.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
const [code] = (await once(child, 'exit')) as [number | null];
await s3.stop();
await nats.stop();
process.exit(code ?? 0);
