import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { createClient, type ClientOptions, type ElasticClient } from '../../src/elastic/client.ts';
import { ElasticError } from '../../src/elastic/errors.ts';
import { HostRing, parseHost } from '../../src/elastic/hosts.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

/** A host that answers as told; counts what it is asked. */
async function host(t: TestContext, handler: Handler): Promise<{ url: string; asked: () => number }> {
  let asked = 0;
  const server = createServer((request, response) => {
    asked++;
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => handler(request, response, Buffer.concat(parts)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: () => asked };
}

/** An address at which nobody listens. */
async function nobody(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

function client(t: TestContext, hosts: string[], options: Partial<ClientOptions> = {}): ElasticClient {
  const made = createClient({ hosts, timeoutMs: 5_000, ...options });
  t.after(() => made.close());
  return made;
}

const ok: Handler = (_request, response) => response.end('{"ok":true}');

async function failure(promise: Promise<unknown>): Promise<ElasticError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof ElasticError, String(error));
    return error;
  }
  throw new Error('it should have failed');
}

test('hosts are used in turn', async (t) => {
  const [a, b] = [await host(t, ok), await host(t, ok)];
  const cluster = client(t, [a.url, b.url]);
  for (let i = 0; i < 6; i++) assert.deepEqual(await cluster.json({ method: 'GET', path: '/' }), { ok: true });
  assert.deepEqual([a.asked(), b.asked()], [3, 3]);
});

test('a dead host costs no request, is skipped for a growing pause, and is tried again', async (t) => {
  const dead = await nobody();
  const live = await host(t, ok);
  let now = 0;
  const pauses: number[] = [];
  const cluster = client(t, [dead, live.url], {
    now: () => now,
    onHostSkipped: (name, pauseMs, reason) => {
      assert.equal(name, dead);
      assert.match(reason, /ECONNREFUSED/);
      pauses.push(pauseMs);
    },
  });
  for (now of [0, 100, 900, 1_000, 2_000, 2_999, 3_000, 60_000]) {
    await cluster.json({ method: 'POST', path: '/_bulk' });
    await cluster.json({ method: 'POST', path: '/_bulk' });
  }
  assert.equal(live.asked(), 16);
  assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000]);
});

test('without a live host the error names them, the setting, and is transient', async (t) => {
  const dead = [await nobody(), await nobody()];
  const error = await failure(client(t, dead).json({ method: 'GET', path: '/' }));
  assert.equal(error.code, 'ES_UNREACHABLE');
  assert.equal(error.transient, true);
  assert.match(error.message, /cannot reach http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
  assert.match(error.hint ?? '', /--es-hosts/);
});

test('502, 503 and 504 of a proxy lead to the next host, those of an index do not', async (t) => {
  const proxy = await host(t, (_request, response) => response.writeHead(502).end('<html>Bad Gateway</html>'));
  const live = await host(t, ok);
  const cluster = client(t, [proxy.url, live.url], { now: () => 0 });
  assert.deepEqual(await cluster.json({ method: 'GET', path: '/' }), { ok: true });
  assert.deepEqual(await cluster.json({ method: 'GET', path: '/' }), { ok: true });
  assert.deepEqual([proxy.asked(), live.asked()], [1, 2]);

  const noShards = { error: { type: 'search_phase_execution_exception', reason: 'all shards failed' }, status: 503 };
  const busy = await host(t, (_request, response) => response.writeHead(503).end(JSON.stringify(noShards)));
  const other = await host(t, ok);
  const error = await failure(client(t, [busy.url, other.url]).json({ method: 'GET', path: '/i/_search' }));
  assert.deepEqual(
    [error.code, error.status, error.type, error.transient, other.asked()],
    ['ES_UNAVAILABLE', 503, 'search_phase_execution_exception', true, 0],
  );
});

test('a lost connection is repeated only where that does no harm', async (t) => {
  let left = 1;
  const shaky = await host(t, (request, response) => (left-- > 0 ? request.socket.destroy() : response.end('{}')));
  const cluster = client(t, [shaky.url]);
  assert.deepEqual(await cluster.json({ method: 'POST', path: '/_bulk', repeatable: true }), {});
  assert.equal(shaky.asked(), 2);
  left = 1;
  assert.equal((await failure(cluster.json({ method: 'POST', path: '/_doc' }))).code, 'ES_UNREACHABLE');
  assert.equal(shaky.asked(), 3);
});

test('an answer that does not come in time', async (t) => {
  const slow = await host(t, () => {});
  const error = await failure(client(t, [slow.url]).json({ method: 'GET', path: '/', timeoutMs: 50 }));
  assert.equal(error.code, 'ES_TIMEOUT');
  assert.equal(error.transient, true);
});

test('a request can be given up', async (t) => {
  const slow = await host(t, () => {});
  const stop = new AbortController();
  const asked = failure(client(t, [slow.url]).json({ method: 'GET', path: '/', signal: stop.signal }));
  stop.abort();
  assert.equal((await asked).code, 'ES_ABORTED');
});

test('an answer that is too large is not read to its end', async (t) => {
  const announced = await host(t, (_request, response) => response.end(Buffer.alloc(10_000)));
  const chunked = await host(t, (_request, response) => {
    for (let i = 0; i < 10; i++) response.write(Buffer.alloc(1_000));
    response.end();
  });
  for (const { url } of [announced, chunked]) {
    const cluster = client(t, [url]);
    const error = await failure(cluster.ok({ method: 'GET', path: '/', responseBytesMax: 9_999 }));
    assert.deepEqual([error.code, error.transient], ['RESPONSE_TOO_LARGE', false]);
    const answer = await cluster.ok({ method: 'GET', path: '/', responseBytesMax: 10_000 });
    assert.equal(answer.body.length, 10_000);
    assert.equal((await cluster.ok({ method: 'HEAD', path: '/' })).body.length, 0);
  }
});

test('a request that is too large is refused even where the server stops listening', async (t) => {
  const server = await host(t, ok);
  const curt = createServer((_request, response) => {
    response.writeHead(413, { connection: 'close' }).end('too large');
  });
  await new Promise<void>((resolve) => curt.listen(0, '127.0.0.1', resolve));
  t.after(() => curt.close());
  const url = `http://127.0.0.1:${(curt.address() as AddressInfo).port}`;
  const body = Buffer.alloc(30_000_000, 0x20);
  const answer = await client(t, [url]).request({ method: 'POST', path: '/_bulk', body, repeatable: true });
  assert.equal(answer.status, 413);
  assert.equal(server.asked(), 0);
});

test('TLS with a host that speaks none is an error that lasts', async (t) => {
  const plain = await host(t, ok);
  const error = await failure(client(t, [plain.url.replace('http:', 'https:')]).json({ method: 'GET', path: '/' }));
  assert.deepEqual([error.code, error.transient], ['ES_TLS', false]);
  assert.match(error.message, /no trusted connection to https:.*: wrong version number \(ERR_SSL_WRONG_VERSION_NUMBER\)$/);
});

test('what servers refuse becomes an error that says what to do', async (t) => {
  const reason = { error: { root_cause: [{ reason: 'deep' }], type: 'some_exception', reason: 'why' }, status: 0 };
  const answers: Record<string, [number, string]> = {
    '/401': [401, '{"error":"unauthorized"}'],
    '/403': [403, '{"Message":"User: arn:x is not authorized to perform: es:ESHttpPost"}'],
    '/404': [404, JSON.stringify(reason)],
    '/429': [429, JSON.stringify(reason)],
    '/500': [500, JSON.stringify(reason)],
    '/400': [400, 'plain text'],
    '/200': [200, 'no json'],
  };
  const server = await host(t, (request, response) => {
    const [status, text] = answers[request.url ?? '']!;
    response.writeHead(status).end(text);
  });
  const cluster = client(t, [server.url]);
  const facts = async (path: string) => {
    const {
      code,
      transient,
      type,
      reason: said,
    } = await failure(cluster.json({ method: 'GET', path, needs: 'the privilege P' }));
    return [code, transient, type, said];
  };
  assert.deepEqual(await facts('/401'), ['ES_UNAUTHORIZED', false, '', 'unauthorized']);
  assert.deepEqual(await facts('/403'), ['ES_FORBIDDEN', false, '', 'User: arn:x is not authorized to perform: es:ESHttpPost']);
  assert.deepEqual(await facts('/404'), ['ES_NOT_FOUND', false, 'some_exception', 'why: deep']);
  assert.deepEqual(await facts('/429'), ['ES_OVERLOADED', true, 'some_exception', 'why: deep']);
  assert.deepEqual(await facts('/500'), ['ES_UNAVAILABLE', true, 'some_exception', 'why: deep']);
  assert.deepEqual(await facts('/400'), ['ES_REQUEST_REFUSED', false, '', 'plain text']);
  assert.equal((await facts('/200'))[0], 'ES_ANSWER_INVALID');
  assert.match(
    (await failure(cluster.json({ method: 'GET', path: '/403', needs: 'the privilege P' }))).hint ?? '',
    /grant the privilege P/,
  );
});

test('credentials of an address are used and never shown', async (t) => {
  let seen: string | undefined;
  const server = await host(t, (request, response) => {
    seen = `${request.url} ${request.headers.authorization}`;
    response.writeHead(401).end('{}');
  });
  const cluster = client(t, [`${server.url.replace('//', '//us%40er:p%2Fw@')}/prefix/`]);
  const error = await failure(cluster.json({ method: 'GET', path: '/', query: { b: 'x y', a: '*' } }));
  assert.equal(seen, `/prefix/?a=%2A&b=x%20y Basic ${Buffer.from('us@er:p/w').toString('base64')}`);
  assert.doesNotMatch(`${error.message} ${error.hint} ${cluster.hosts.join()}`, /p%2Fw|p\/w|us@er/);
});

test('large bodies are compressed where asked for', async (t) => {
  let received = '';
  const server = await host(t, (request, response, body) => {
    received = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body).toString() : 'plain';
    response.end('{}');
  });
  const body = 'x'.repeat(5_000);
  await client(t, [server.url]).ok({ method: 'POST', path: '/', body });
  assert.equal(received, 'plain');
  await client(t, [server.url], { compressRequests: true }).ok({ method: 'POST', path: '/', body });
  assert.equal(received, body);
});

test('addresses', () => {
  assert.equal(parseHost('localhost:9200', '--es-hosts').origin, 'http://localhost:9200');
  assert.equal(parseHost('https://[::1]:9243/a/b/', '--es-hosts').prefix, '/a/b');
  for (const text of ['', 'ftp://x', 'http://', 'http://u:geheim@x y', 'http://x/?q=1', 'nats://x:4222']) {
    assert.throws(
      () => parseHost(text, '--es-hosts'),
      (error: Error) => {
        assert.doesNotMatch(error.message, /geheim/);
        return 'code' in error && error.code === 'ES_HOST_INVALID';
      },
    );
  }
});

test('with every host skipped, the one whose pause ends first is tried', () => {
  let now = 0;
  const [a, b] = [parseHost('a', ''), parseHost('b', '')];
  const ring = new HostRing([a, b], () => now);
  ring.failed(a);
  now = 10;
  ring.failed(b);
  assert.equal(ring.next(new Set()), a);
  assert.equal(ring.next(new Set([a])), b);
  assert.equal(ring.next(new Set([a, b])), undefined);
  ring.answered(b);
  assert.equal(ring.next(new Set()), b);
});
