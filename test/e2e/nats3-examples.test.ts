import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { killAtEnd, spareAtEnd } from '../../scripts/servers/watchdog.ts';
import { freePort } from '../../scripts/servers/ports.ts';
import { ensureChangeStream } from '../../src/jetstream/index.ts';
import { Cluster } from '../support/cluster.ts';
import { linkTo } from '../support/archive-stage.ts';
import { change, publishFrame } from '../support/gateway-stage.ts';
import { sharedElasticsearch } from '../support/servers.ts';
import { until } from '../support/until.ts';

const root = resolve(import.meta.dirname, '../..');
const documents = 120;

let stack: ChildProcess;
let output = '';
/** What the stack tells other terminals to set. */
const given: Record<string, string> = {};

before(async () => {
  const ports = { NATS_PORT: await freePort(), S3_PORT: await freePort(), NATS3_PORT: await freePort() };
  const env = { ...process.env, ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])) };
  stack = spawn(join(root, 'scripts/node.sh'), [join(root, 'examples/stack.ts')], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  killAtEnd(stack.pid!);
  stack.stdout!.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  await until('the stack', () => output.includes('nats3 is ready'), { withinMs: 60_000 });
  for (const [, name, value] of output.matchAll(/(\w+)=(?:"[^"]*"|(\S+))/g)) if (value !== undefined) given[name!] = value;
});

after(async () => {
  const ended = once(stack, 'exit');
  process.kill(stack.pid!, 'SIGTERM');
  await ended;
  spareAtEnd(stack.pid!);
});

async function example(name: string, more: Record<string, string> = {}): Promise<string> {
  const child = spawn(join(root, 'examples', name), {
    env: { ...process.env, ...given, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = (await ended) as [number];
  assert.equal(code, 0, `${name}\n${out}\n${err}\n${output}`);
  return out;
}

describe('the examples', () => {
  it('archive a stream and publish it again', async () => {
    assert.match(await example('archive-and-replay.sh'), /messages in stream AGAIN: 300\n/);
  });

  it('bring back one subject as it was between two moments', async () => {
    assert.match(await example('point-in-time.sh'), /messages in stream THEN: 30\n/);
  });

  it('fill a fresh cluster from archived changes', async () => {
    const target = await sharedElasticsearch('8.19');
    const link = await linkTo(given['NATS_URL']!);
    await ensureChangeStream(link, { name: 'ES_CHANGES' });
    const changes = Array.from({ length: documents }, (_, number) => change('restored', number));
    await publishFrame(link, 'frame', changes, 1);
    await publishFrame(link, 'gone', [change('restored', 7, { op: 'delete', version: 5_000 })]);
    await link.close();
    const { NATS_URL: natsUrl = '' } = given;
    const admin = `127.0.0.1:${await freePort()}`;
    await example('restore-cluster.sh', { TARGET: target.url, NATS_URL: natsUrl, ADMIN_LISTEN: admin });
    const cluster = new Cluster(target.url);
    await cluster.send('POST', '/restored/_refresh');
    const { count } = (await cluster.json('GET', '/restored/_count')) as { count: number };
    assert.equal(count, documents - 1);
    await cluster.close();
  });
});
