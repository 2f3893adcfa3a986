import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../servers.ts';

const readyWithinMs = 30_000;

/**
 * Runs a gateway with the NATS server that lies beside it until it is ready, and asks it to stop. That takes the database, the HTTP server,
 * the log, the child and JetStream of a release along, and no other server. Throws what it said when that fails.
 */
export async function runGateway(executable: string, home: string): Promise<string> {
  const nats = `127.0.0.1:${await freePort()}`;
  const admin = `127.0.0.1:${await freePort()}`;
  const flags = ['--embedded', '--nats-binary=/nowhere', `--nats-listen=${nats}`, `--store-dir=${join(home, 'store')}`];
  const child = spawn(executable, [...flags, `--admin-listen=${admin}`, '--js-max-file=64MB', '--stream-max-bytes=8MB'], {
    env: {},
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = once(child, 'close');
  try {
    const deadline = Date.now() + readyWithinMs;
    while (!(await isReady(admin))) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`the gateway does not become ready:\n${said}`);
      await pause(50);
    }
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
  if (child.exitCode !== 0) throw new Error(`the gateway ends with ${child.exitCode}:\n${said}`);
  return 'nats-gateway --embedded becomes ready and drains';
}

async function isReady(address: string): Promise<boolean> {
  const answer = await fetch(`http://${address}/health/ready`).catch(() => undefined);
  return answer?.status === 200;
}
