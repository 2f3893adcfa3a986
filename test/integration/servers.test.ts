import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import {
  ELASTICSEARCH_LINES,
  elasticsearchRelease,
  isAlive,
  OPENSEARCH_LINES,
  opensearchRelease,
  startS3,
  temporaryDirectory,
  type Server,
} from '../../scripts/servers.ts';
import { freshElasticsearch, freshNats, freshOpenSearch, sharedNats, sharedS3 } from '../support/servers.ts';

async function json(url: string, init?: RequestInit): Promise<Record<string, unknown>> {
  const response = await fetch(url, { ...init, headers: { 'content-type': 'application/json' } });
  assert.ok(response.ok, `${url}: ${response.status}`);
  return (await response.json()) as Record<string, unknown>;
}

/** A document that was acknowledged is there after SIGKILL and a start on the same files. */
async function survivesKill(server: Server, version: string): Promise<void> {
  const root = (await json(server.url)) as { version: { number: string } };
  assert.equal(root.version.number, version);
  await json(`${server.url}/kept/_doc/1`, { method: 'PUT', body: '{"n":1}' });
  const { pid, port } = server;
  await server.kill('SIGKILL');
  assert.equal(isAlive(pid), false);
  await server.restart();
  assert.equal(server.port, port);
  assert.notEqual(server.pid, pid);
  const found = (await json(`${server.url}/kept/_doc/1`)) as { _source: unknown };
  assert.deepEqual(found._source, { n: 1 });
  await server.stop();
  assert.equal(server.isRunning(), false);
}

for (const line of ELASTICSEARCH_LINES) {
  test(`Elasticsearch ${line} starts, and keeps its documents over SIGKILL`, async () => {
    await survivesKill(await freshElasticsearch(line), elasticsearchRelease(line).version);
  });
}

for (const line of OPENSEARCH_LINES) {
  test(`OpenSearch ${line} starts, and keeps its documents over SIGKILL`, async () => {
    await survivesKill(await freshOpenSearch(line), opensearchRelease(line).version);
  });
}

test('nats-server keeps its messages over SIGKILL', async () => {
  const server = await freshNats({ config: 'max_payload: 2MB' });
  const before = await connect({ servers: server.url });
  assert.equal(before.info?.version, server.version);
  assert.equal(before.info?.max_payload, 2 * 1024 * 1024);
  await (await jetstreamManager(before)).streams.add({ name: 'kept', subjects: ['kept'] });
  await jetstream(before).publish('kept', 'one');
  await before.close();
  await server.kill();
  await server.restart();
  const after = await connect({ servers: server.url });
  assert.equal((await (await jetstreamManager(after)).streams.info('kept')).state.messages, 1);
  await after.close();
  await server.stop();
});

test('the shared S3 server says with which keys it is used', async () => {
  const { url, credentials } = await sharedS3();
  assert.equal((await fetch(url)).status, 403);
  assert.ok(credentials?.accessKey && credentials.secretKey && credentials.region);
});

test('the S3 server answers, and refuses who does not sign', async () => {
  const { server } = await startS3({ dataDir: temporaryDirectory('s3') });
  assert.equal((await fetch(server.url)).status, 403);
  await server.kill();
  await server.restart();
  assert.equal((await fetch(server.url)).status, 403);
  await server.stop();
});

test('all tests of a file share one nats-server', async () => {
  const [first, second] = await Promise.all([sharedNats(), sharedNats()]);
  assert.deepEqual(first, second);
  assert.ok(isAlive(first.pid));
});

test('a server ends with its parent, also by SIGKILL', async () => {
  const servers = join(import.meta.dirname, '../../scripts/servers.ts');
  const script = `
    import { startNats, temporaryDirectory } from ${JSON.stringify(servers)};
    const server = await startNats({ storeDir: temporaryDirectory('orphan') });
    console.log(server.pid);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  after(() => parent.kill('SIGKILL'));
  const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
  const pid = Number(line);
  assert.ok(isAlive(pid));
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  for (let waitedMs = 0; isAlive(pid); waitedMs += 20) {
    assert.ok(waitedMs < 10_000, `nats-server ${pid} outlives its parent`);
    await sleep(20);
  }
});
