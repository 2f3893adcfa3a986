import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { nkeys } from '@nats-io/transport-node';
import { freePort, temporaryDirectory } from '../../scripts/servers.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { connectNats, ensureChangeStream, natsSettingsOf, openOrderedSource, streamIdentity } from '../../src/jetstream/index.ts';
import { watcherSettings } from '../../src/es-watcher/config.ts';
import { readInvocation } from '../../src/service/config.ts';
import { Authority } from '../support/certificates.ts';
import { operatorMode } from '../support/nats-operator.ts';
import { freshNats } from '../support/servers.ts';

const directory = temporaryDirectory('nats-login');
const authority = new Authority();
const server = authority.issue('server');
const client = authority.issue('client');
const tls = `tls { cert_file: "${server.certFile}", key_file: "${server.keyFile}"`;

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** Connects as a program with these flags does, and makes a stream; the code of the failure, or `in`. */
async function outcome(url: string, flags: readonly string[] = []): Promise<string> {
  const invocation = await readInvocation(watcherSettings, [`--nats-url=${url}`, ...flags], {}, '1');
  assert.ok(invocation.is === 'run');
  try {
    const link = await connectNats(natsSettingsOf(invocation.values, 'test'));
    try {
      await ensureChangeStream(link, { name: 'LOGIN' });
    } finally {
      await link.close();
    }
    return 'in';
  } catch (error) {
    assert.ok(error instanceof GatewayError, String(error));
    const said = `${error.message} (${error.hint})`;
    assert.ok(!said.includes('secret'), said);
    assert.match(said, /--nats-[a-z-]+/, 'names a setting');
    return said.includes('client certificate') ? `${error.code} --nats-cert-file` : error.code;
  }
}

async function outcomes(config: string, attempts: readonly (readonly [expected: string, url: string, ...flags: string[]])[]) {
  const nats = await freshNats({ config });
  for (const [expected, url, ...flags] of attempts) {
    const address = url.replace('HOST', `127.0.0.1:${nats.port}`);
    assert.equal(await outcome(address, flags), expected, `${url} ${flags.join(' ')}`);
  }
  await nats.stop();
}

const ca = `--nats-ca-file=${authority.caFile}`;

describe('TLS to NATS', () => {
  it('trusts the authority that it is given, and no other', async () => {
    const stranger = new Authority('another');
    await outcomes(`${tls} }`, [
      ['in', 'tls://HOST', ca],
      // The server says that it wants TLS, whatever the scheme.
      ['in', 'nats://HOST', ca],
      ['NATS_TLS', 'tls://HOST'],
      ['NATS_TLS', 'nats://HOST'],
      ['NATS_TLS', 'tls://HOST', `--nats-ca-file=${stranger.caFile}`],
      ['NATS_CREDENTIALS_FILE', 'tls://HOST', '--nats-ca-file=/nowhere/ca.pem'],
      ['NATS_CREDENTIALS_FILE', 'tls://HOST', ca, '--nats-cert-file=/nowhere/c.pem', '--nats-key-file=/nowhere/c.key'],
      ['NATS_TLS', 'tls://HOST', `--nats-ca-file=${file('not.pem', 'not a certificate')}`],
    ]);
  });

  it('hands out messages as they lie in what was read, like without it', async () => {
    const nats = await freshNats({ config: `${tls} }` });
    const url = `tls://127.0.0.1:${nats.port}`;
    const link = await connectNats({ urls: [url], name: 'test', tls: { caFile: authority.caFile } });
    const stream = 'TLS';
    await link.manager.streams.add({ name: stream, subjects: ['tls.>'] });
    const payloads = Array.from({ length: 3_000 }, (_, at) => `${at} `.repeat(1 + ((at * 37) % 400)));
    for (const [at, payload] of payloads.entries()) {
      link.connection.publish('tls.x', payload);
      if (at % 500 === 499) await link.connection.flush();
    }
    const seen: string[] = [];
    const all = Promise.withResolvers<void>();
    const { created } = (await streamIdentity(link, stream))!;
    const bounds = { durable: 0, windowMessages: 10_000, windowBytes: 2 ** 24 };
    const source = await openOrderedSource(
      link,
      { stream, streamCreated: created, consumer: 'c', filterSubjects: ['>'], ...bounds },
      {
        onMessage({ bytes, payloadAt, end }) {
          seen.push(bytes.toString('latin1', payloadAt, end));
          if (seen.length === payloads.length) all.resolve();
        },
        onEnd: all.reject,
      },
    );
    await all.promise;
    assert.deepEqual(seen, payloads);
    await source.stop();
    await link.close();
    await nats.stop();
  });

  it('wants the name on the certificate', async () => {
    const other = authority.issue('elsewhere', 'DNS:elsewhere.example');
    const config = `tls { cert_file: "${other.certFile}", key_file: "${other.keyFile}" }`;
    await outcomes(config, [['NATS_TLS', 'tls://HOST', ca]]);
  });

  it('shows its own certificate where the server asks for one', async () => {
    await outcomes(`${tls}, ca_file: "${authority.caFile}", verify: true }`, [
      ['in', 'tls://HOST', ca, `--nats-cert-file=${client.certFile}`, `--nats-key-file=${client.keyFile}`],
      ['NATS_UNREACHABLE --nats-cert-file', 'tls://HOST', ca],
    ]);
  });

  it('is refused by a server that has none', async () => {
    await outcomes('', [
      ['NATS_TLS', 'tls://HOST'],
      ['NATS_TLS', 'tls://HOST', ca],
      ['NATS_UNREACHABLE', `tls://127.0.0.1:${await freePort()}`, ca],
      ['in', 'nats://HOST'],
    ]);
  });
});

describe('logging in to NATS', () => {
  it('by user and password, given by flags or in the URL', async () => {
    await outcomes('authorization { users [ { user: "me", password: "right-secret" } ] }', [
      ['in', 'nats://HOST', '--nats-user=me', '--nats-password=right-secret'],
      ['in', 'nats://me:right-secret@HOST'],
      ['NATS_UNAUTHORISED', 'nats://me:wrong-secret@HOST'],
      ['NATS_UNAUTHORISED', 'nats://HOST', '--nats-user=me', '--nats-password=wrong-secret'],
      ['NATS_UNAUTHORISED', 'nats://HOST'],
    ]);
  });

  it('by token', async () => {
    await outcomes('authorization { token: "right-secret" }', [
      ['in', 'nats://HOST', '--nats-token=right-secret'],
      ['in', 'nats://right-secret@HOST'],
      ['NATS_UNAUTHORISED', 'nats://HOST', '--nats-token=wrong-secret'],
    ]);
  });

  it('by nkey', async () => {
    const [known, unknown] = [nkeys.createUser(), nkeys.createUser()];
    const seed = (pair: typeof known): string => new TextDecoder().decode(pair.getSeed());
    await outcomes(`authorization { users [ { nkey: ${known.getPublicKey()} } ] }`, [
      ['in', 'nats://HOST', `--nats-nkey-file=${file('known.nk', `${seed(known)}\n`)}`],
      ['NATS_UNAUTHORISED', 'nats://HOST', `--nats-nkey-file=${file('unknown.nk', seed(unknown))}`],
      ['NATS_CREDENTIALS_FILE', 'nats://HOST', `--nats-nkey-file=${file('bad.nk', 'not a secret seed')}`],
      ['NATS_CREDENTIALS_FILE', 'nats://HOST', '--nats-nkey-file=/nowhere/user.nk'],
    ]);
  });

  it('by credentials file, as operators give them out', async () => {
    const [own, other] = [operatorMode(), operatorMode()];
    await outcomes(own.config, [
      ['in', 'nats://HOST', `--nats-creds-file=${file('own.creds', own.creds)}`],
      ['NATS_UNAUTHORISED', 'nats://HOST', `--nats-creds-file=${file('other.creds', other.creds)}`],
      ['NATS_CREDENTIALS_FILE', 'nats://HOST', `--nats-creds-file=${file('bad.creds', 'not a secret')}`],
    ]);
  });
});
