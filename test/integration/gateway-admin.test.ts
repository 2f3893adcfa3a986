import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../../scripts/servers.ts';
import { encodeEnvelope } from '../../src/core/envelope.ts';
import { openApi } from '../../src/nats-gateway/openapi.ts';
import {
  applied,
  change,
  type Cleanup,
  gatewayProgram,
  gatewayStage,
  publishFrame,
  readStream,
} from '../support/gateway-stage.ts';
import type { Program } from '../support/programs.ts';
import { until } from '../support/until.ts';

const withinMs = 20_000;

async function stage(t: Cleanup, flags: Record<string, string>, env: Record<string, string> = {}) {
  const { link, gateway } = await gatewayStage(t, flags, env);
  const passed = (count: number): Promise<boolean> =>
    until(`${count} messages downstream`, async () => (await link.manager.streams.info('ES_CHANGES')).state.messages === count, {
      withinMs,
    });
  return { link, gateway, passed };
}

async function json(gateway: Program, path: string): Promise<Record<string, unknown>> {
  const { status, body } = await gateway.get(path);
  assert.equal(status, 200, body);
  return JSON.parse(body) as Record<string, unknown>;
}

type Schema = {
  type?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema;
};

/** The parts of JSON Schema that the document uses. */
function assertFits(schema: Schema, value: unknown, at: string): void {
  if (schema.type === 'object') {
    assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), at);
    const record = value as Record<string, unknown>;
    for (const name of schema.required ?? []) assert.ok(name in record, `${at}.${name} is missing`);
    for (const [name, one] of Object.entries(record)) {
      const known = schema.properties?.[name] ?? schema.additionalProperties;
      if (known !== undefined && one !== null) assertFits(known, one, `${at}.${name}`);
    }
  } else if (schema.type === 'array') {
    assert.ok(Array.isArray(value), at);
    for (const [n, one] of value.entries()) assertFits(schema.items ?? {}, one, `${at}[${n}]`);
  } else if (schema.type !== undefined) assert.equal(typeof value, schema.type, at);
}

test('every path of the OpenAPI document answers in the form that it says', async (t) => {
  const { link, gateway, passed } = await stage(t, {});
  await publishFrame(link, 'one', [change('a', 1)]);
  await passed(1);
  await until('the first look at the lag', async () => (await json(gateway, '/stats'))['lag'] !== undefined, { withinMs });
  const document = await json(gateway, '/openapi.json');
  assert.deepEqual(document, JSON.parse(JSON.stringify(openApi((document['info'] as { version: string }).version))));
  for (const [path, methods] of Object.entries((document as unknown as Document).paths)) {
    for (const method of Object.keys(methods) as ('get' | 'post')[]) {
      const answer = method === 'get' ? await gateway.get(path) : await gateway.post(path);
      assert.equal(answer.status, 200, `${method} ${path}: ${answer.body}`);
      if (path !== '/metrics') assertForeseen(method, path, answer);
    }
  }
});

type Document = { paths: Record<string, Record<string, { responses: Record<string, Answer> }>> };
type Answer = { content?: Record<string, { schema?: Schema }> };

/** Fails where the document does not foresee that answer, or says another form. */
function assertForeseen(method: 'get' | 'post', path: string, { status, body }: { status: number; body: string }): void {
  const answer = (openApi('0') as Document).paths[path]?.[method]?.responses[status];
  assert.ok(answer !== undefined, `${method} ${path} answers ${status}`);
  assertFits(answer.content?.['application/json']?.schema ?? {}, JSON.parse(body), `${path} ${status}`);
}

test('refusals have the form that the OpenAPI document says: starting, unauthorised, wrong rules, from elsewhere', async (t) => {
  const file = join(temporaryDirectory('refusals'), 'gateway.yaml');
  writeFileSync(file, 'nats-gateway: {}\n');
  const starting = gatewayProgram({ 'upstream-url': 'nats://127.0.0.1:1', config: file });
  t.after(async () => void (await starting.stop()));
  starting.start();
  await until('the admin server', async () => (await starting.get('/health/live')).status === 200, { withinMs });
  for (const path of ['/reload', '/pause', '/resume']) {
    const answer = await starting.post(path);
    assert.deepEqual([answer.status, (JSON.parse(answer.body) as Failure).error.code], [503, 'NOT_STARTED'], path);
    assertForeseen('post', path, answer);
  }
  const { status, body } = await starting.get('/health/ready');
  assert.equal(status, 503);
  assert.match(body, /starting/);
  assertForeseen('get', '/health/ready', { status, body });
  const { gateway } = await stage(t, { config: file }, { ADMIN_TOKEN: 'secret' });
  for (const path of ['/stats', '/config', '/openapi.json']) assertForeseen('get', path, await gateway.get(path));
  for (const path of ['/reload', '/pause', '/resume']) assertForeseen('post', path, await gateway.post(path));
  writeFileSync(file, 'nats-gateway: {include-indices: []}\n');
  const refused = await gateway.post('/reload', { authorization: 'Bearer secret' });
  assert.equal(refused.status, 422, refused.body);
  assertForeseen('post', '/reload', refused);
});
type Failure = { error: { code: string } };

test('pause and resume', async (t) => {
  const { link, gateway, passed } = await stage(t, {});
  assert.equal((await gateway.post('/pause')).body, '{"paused":true}');
  await publishFrame(link, 'one', [change('a', 1)]);
  await until(
    'the message to be held',
    async () => ((await json(gateway, '/stats'))['outstanding'] as { messages: number }).messages === 1,
    { withinMs },
  );
  assert.match((await gateway.get('/health/ready')).body, /paused by an operator/);
  assert.equal((await link.manager.streams.info('ES_CHANGES')).state.messages, 0);
  assert.equal((await gateway.post('/resume')).status, 200);
  await passed(1);
});

test('a reload, by POST or SIGHUP, swaps the rules or refuses and keeps the old ones', async (t) => {
  const file = join(temporaryDirectory('reload'), 'gateway.yaml');
  const rules = (text: string): void => writeFileSync(file, `nats-gateway:\n${text}`);
  rules('  exclude-patterns: b\n');
  const { link, gateway, passed } = await stage(t, { config: file });
  await publishFrame(link, 'one', [change('b', 1)]);
  await publishFrame(link, 'two', [change('a', 1)]);
  await passed(1);
  rules('  exclude-patterns: a\n  transforms:\n    - drop: big\n  ack-wait: 20s\n');
  const { status, body } = await gateway.post('/reload');
  assert.equal(status, 200, body);
  assert.deepEqual(JSON.parse(body), { changed: ['exclude-patterns', 'transforms'], needRestart: ['ack-wait'] });
  await publishFrame(link, 'three', [change('a', 2)]);
  await publishFrame(link, 'four', [change('b', 2)]);
  await passed(2);
  rules('  transforms:\n    - drap: big\n');
  const refused = await gateway.post('/reload');
  assert.equal(refused.status, 422);
  assert.match(refused.body, /transforms takes transforms as a list; at 0/);
  rules('  exclude-patterns: c\n');
  gateway.signal('SIGHUP');
  await until('the reload', async () => (await gateway.metric('reloads_total')) === 3, { withinMs });
  await publishFrame(link, 'five', [change('b', 3)]);
  await passed(3);
  assert.deepEqual(
    [...applied(await readStream(link, 'ES_CHANGES'))],
    [
      ['a/d1', '{"n":1,"big":9007199254740993,"f":1.0}'],
      ['b/d2', '{"n":2,"f":1.0}'],
      ['b/d3', '{"n":3,"big":9007199254740993,"f":1.0}'],
    ],
  );
});

test('a token guards everything but health and metrics, and is never shown', async (t) => {
  const file = join(temporaryDirectory('token'), 'token');
  writeFileSync(file, 'the-secret-token\n');
  const { gateway } = await stage(t, {}, { ADMIN_TOKEN_FILE: file });
  const bearer = { authorization: 'Bearer the-secret-token' };
  for (const path of ['/health', '/health/live', '/health/ready', '/metrics'])
    assert.equal((await gateway.get(path)).status, 200);
  for (const path of ['/stats', '/config', '/openapi.json', '/nowhere']) {
    assert.equal((await gateway.get(path)).status, 401, path);
    assert.equal((await gateway.get(path, { authorization: 'Bearer another' })).status, 401, path);
  }
  assert.equal((await gateway.get('/stats', bearer)).status, 200);
  assert.equal((await gateway.post('/pause')).status, 401);
  assert.equal((await gateway.post('/resume', bearer)).status, 200);
  const { body } = await gateway.get('/config', bearer);
  assert.equal(body.includes('the-secret-token'), false);
  assert.match(body, /"admin-token":\{"value":"\*\*\*"/);
});

test('without a token changes are accepted from the loopback only, and from no web page', async (t) => {
  const { gateway } = await stage(t, { 'admin-listen': '0.0.0.0:0' });
  assert.equal((await gateway.post('/resume', { origin: 'http://example.org' })).status, 403);
  assert.equal((await gateway.post('/resume')).status, 200);
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === 'IPv4' && !one.internal);
  if (outside === undefined) return t.skip('this machine has no other address');
  const port = /:(\d+)$/.exec(gateway.address)?.[1];
  const url = `http://${outside.address}:${port}`;
  assert.equal((await fetch(`${url}/stats`)).status, 200);
  const refused = await fetch(`${url}/pause`, { method: 'POST' });
  assert.equal(refused.status, 403);
  assert.match(await refused.text(), /ADMIN_REMOTE.*--admin-token/s);
});

test('the dry run prints what would come out and why', () => {
  const main = fileURLToPath(new URL('../../src/nats-gateway/main.ts', import.meta.url));
  const filters = JSON.stringify([{ where: { range: { field: 'n', lt: 2 } } }]);
  const transforms = JSON.stringify([{ rename: { field: 'n', to: 'm' } }]);
  const input = Buffer.concat(
    [change('a', 1), change('a', 2), change('b', 1), change('a', 1, { source: Buffer.from('{"n":1.0,"m":2}') })].map(
      encodeEnvelope,
    ),
  );
  const run = spawnSync(
    process.execPath,
    [main, 'test', `--field-filters=${filters}`, `--transforms=${transforms}`, '--exclude-patterns=b'],
    { input },
  );
  assert.equal(run.status, 1, run.stderr.toString());
  const lines = run.stdout.toString().trim().split('\n');
  assert.match(
    lines[0]!,
    /"result":"transformed","output":"main","subject":"es.t.a.index","envelope":\{.*"source":\{"m":1,"big":9007199254740993,"f":1.0\}\}\}$/,
  );
  assert.match(lines[1]!, /"line":2,"result":"deleted","why":"field-filters".*"op":"delete"/);
  assert.match(lines[2]!, /"line":3,"result":"filtered","why":"exclude-patterns"/);
  assert.match(lines[3]!, /"line":4,"result":"dead letter".*"error":"TRANSFORM_IMPOSSIBLE"/);
});
