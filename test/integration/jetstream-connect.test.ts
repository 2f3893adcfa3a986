import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { freePort } from '../../scripts/servers.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { connectNats, ensureChangeStream } from '../../src/jetstream/index.ts';
import { freshNats, sharedNats } from '../support/servers.ts';
import { Proxy } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const within = { withinMs: 20_000, everyMs: 10 };

function refusal(code: string, more: (error: GatewayError) => void = () => undefined) {
  return (error: unknown): true => {
    assert.ok(error instanceof GatewayError, String(error));
    assert.equal(error.code, code, error.message);
    assert.ok(!`${error.message} ${error.hint}`.includes('secret'), error.message);
    more(error);
    return true;
  };
}

const accounts = `
accounts {
  WITH { jetstream: enabled, users: [ { user: with, password: "right-secret" } ] }
  WITHOUT { users: [ { user: without, password: "right-secret" } ] }
}`;

describe('connecting to NATS', () => {
  it('fails at once where nobody listens, naming the setting and the host', async () => {
    const url = `nats://me:secret@127.0.0.1:${await freePort()}`;
    await assert.rejects(
      connectNats({ urls: [url], name: 'test' }),
      refusal('NATS_UNREACHABLE', (error) => {
        assert.ok(error.transient);
        assert.match(error.message, /127\.0\.0\.1/);
        assert.match(error.hint ?? '', /--nats-url \(NATS_URL\)/);
      }),
    );
  });

  it('waits for the server when asked to, and connects when it comes', async () => {
    const port = await freePort();
    const waits: GatewayError[] = [];
    const connecting = connectNats(
      { urls: [`nats://127.0.0.1:${port}`], name: 'test' },
      { waitOnFirstConnect: true, onWaiting: (error) => waits.push(error) },
    );
    await until('a failed attempt', () => waits.length > 0, within);
    const server = await freshNats({ port });
    const link = await connecting;
    assert.ok(link.connected);
    assert.equal(waits[0]?.code, 'NATS_UNREACHABLE');
    await link.close();
    await server.stop();
  });

  it('gives up waiting when told to', async () => {
    const stop = new AbortController();
    const url = `nats://127.0.0.1:${await freePort()}`;
    const connecting = connectNats(
      { urls: [url], name: 'test' },
      { waitOnFirstConnect: true, onWaiting: () => stop.abort(), signal: stop.signal },
    );
    await assert.rejects(connecting, refusal('NATS_UNREACHABLE'));
  });

  it('reports wrong credentials and a missing JetStream at once, waiting or not', async () => {
    const server = await freshNats({ config: accounts });
    const options = { waitOnFirstConnect: true };
    const urls = [server.url];
    await assert.rejects(
      connectNats({ urls, name: 'test', user: 'with', password: 'wrong-secret' }, options),
      refusal('NATS_UNAUTHORISED'),
    );
    await assert.rejects(connectNats({ urls, name: 'test' }, options), refusal('NATS_UNAUTHORISED'));
    await assert.rejects(
      connectNats({ urls, name: 'test', user: 'without', password: 'right-secret' }, options),
      refusal('JETSTREAM_DISABLED', (error) => assert.match(error.hint ?? '', /JetStream/)),
    );
    const inUrl = server.url.replace('nats://', 'nats://with:right-secret@');
    const link = await connectNats({ urls: [inUrl], name: 'test' });
    assert.ok(!link.server.includes('secret'));
    await link.close();
    await server.stop();
  });

  it('says which credentials file cannot be read', async () => {
    const { url } = await sharedNats();
    await assert.rejects(
      connectNats({ urls: [url], name: 'test', credsFile: '/nowhere/user.creds' }),
      refusal('NATS_CREDENTIALS_FILE', (error) => assert.match(error.message, /\/nowhere\/user\.creds/)),
    );
  });

  it('comes back after the server was killed, and tells', async () => {
    const server = await freshNats();
    const states: string[] = [];
    const link = await connectNats({ urls: [server.url], name: 'test' }, { onState: (state) => states.push(state.is) });
    await server.kill('SIGKILL');
    await until('the loss', () => !link.connected, within);
    await server.restart();
    await until('the return', () => link.connected, within);
    assert.deepEqual(states, ['disconnected', 'connected']);
    await ensureChangeStream(link, { name: 'AFTER' });
    await link.close();
    await server.stop();
  });

  it('closes in bounded time without a server', async () => {
    const { url } = await sharedNats();
    const proxy = await Proxy.to(url);
    const link = await connectNats({ urls: [proxy.url('nats')], name: 'test' });
    await proxy.close();
    await until('the loss', () => !link.connected, within);
    await link.close();
    assert.ok(link.connection.isClosed());
  });
});
