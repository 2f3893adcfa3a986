import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { compactArchive, pruneArchive, readArchive, storeBlock, timeOf, verifyArchive } from '../../src/archive/index.ts';
import { retryingStore, S3ObjectStore } from '../../src/objects/index.ts';
import type { SharedServer } from '../../scripts/servers.ts';
import { message, sealed } from '../support/blocks.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { S3FaultProxy, s3Trouble, type S3Fault } from '../support/s3-faults.ts';
import { s3Store } from '../support/s3.ts';
import { sharedS3 } from '../support/servers.ts';

const bucket = 's3-faults';
/** Large enough to arrive in several pieces. */
const body = Buffer.alloc(300_000, 'some text ');

/** What each fault is called, and whether waiting can help. */
const putFaults: [S3Fault, string][] = [
  [s3Trouble.internalError, 'S3_UNAVAILABLE'],
  [s3Trouble.slowDown, 'S3_UNAVAILABLE'],
  [s3Trouble.expiredToken, 'S3_CREDENTIALS'],
  [s3Trouble.keyRefused, 'S3_CREDENTIALS'],
  [s3Trouble.accessDenied, 'S3_FORBIDDEN'],
  [s3Trouble.bucketMissing, 'S3_BUCKET_MISSING'],
  [s3Trouble.badDigest, 'S3_CHECKSUM'],
  [s3Trouble.diskFull, 'S3_FULL'],
  [{ is: 'answer', status: 502, code: 'BadGateway' }, 'S3_UNAVAILABLE'],
  [{ is: 'answer', status: 409, code: 'ConditionalRequestConflict' }, 'S3_UNAVAILABLE'],
  [{ is: 'answer', status: 400, code: 'AuthorizationHeaderMalformed' }, 'S3_REGION'],
  [{ is: 'reset' }, 'S3_UNREACHABLE'],
  [{ is: 'lostReply' }, 'S3_UNREACHABLE'],
  [{ is: 'silent' }, 'S3_TIMEOUT'],
  [{ is: 'damagedBody' }, 'S3_CHECKSUM'],
];
const getFaults: [S3Fault, string][] = [
  [s3Trouble.internalError, 'S3_UNAVAILABLE'],
  [{ is: 'reset' }, 'S3_UNREACHABLE'],
  [{ is: 'cutAnswer' }, 'S3_UNREACHABLE'],
  [{ is: 'damagedAnswer' }, 'S3_CHECKSUM'],
];

function nameOf(fault: S3Fault): string {
  return fault.is === 'answer' ? fault.code : fault.is;
}

describe('faults of S3', () => {
  let server: SharedServer;
  let proxy: S3FaultProxy;
  let store: S3ObjectStore;
  before(async () => {
    server = await sharedS3();
    proxy = await S3FaultProxy.to(server.url);
    store = s3Store({ ...server, url: proxy.url }, bucket, { timeoutMs: 700 });
    await store.bucket('create');
  });
  after(async () => {
    await store.close();
    await proxy.close();
  });

  /** The first call of this kind from now on fails. */
  const once = (operation: 'PutObject' | 'GetObject' | 'ListObjects', fault: S3Fault): void => {
    let first = true;
    proxy.plan = (call) => {
      if (call.operation !== operation || !first) return undefined;
      first = false;
      return fault;
    };
  };

  for (const [fault, code] of putFaults) {
    it(`a PUT that meets ${nameOf(fault)} fails as ${code}, and a second one succeeds`, async () => {
      once('PutObject', fault);
      const key = `put/${nameOf(fault)}`;
      await assert.rejects(store.put(key, body), { code, transient: true });
      proxy.heal();
      const again = await store.put(key, body);
      assert.equal(again.is, fault.is === 'lostReply' ? 'exists' : 'stored');
      assert.deepEqual(await store.get(key), body);
    });

    it(`a block that meets ${nameOf(fault)} is stored by a store that tries again`, async () => {
      once('PutObject', fault);
      const codes: string[] = [];
      let recovered = 0;
      const patient = retryingStore(store, {
        backoff: { minMs: 1, maxMs: 5 },
        onRetry: (error) => codes.push(error.code),
        onRecovered: () => recovered++,
      });
      const block = await sealed([message(1), message(2)], { job: nameOf(fault) });
      const outcome = await storeBlock(patient, '', block);
      assert.equal(outcome.is, fault.is === 'lostReply' ? 'there' : 'stored');
      assert.deepEqual([codes, recovered], [[code], 1]);
    });
  }

  for (const [fault, code] of getFaults) {
    it(`a GET that meets ${nameOf(fault)} fails as ${code}, and a second one succeeds`, async () => {
      await store.put('read', body, { replace: true });
      once('GetObject', fault);
      await assert.rejects(store.get('read'), { code, transient: true });
      assert.deepEqual(await store.get('read'), body);
    });
  }

  it('a slow answer is waited for', async () => {
    once('PutObject', { is: 'slow', delayMs: 300 });
    assert.equal((await store.put('slow', body)).is, 'stored');
  });

  it('a listing goes on where it failed', async () => {
    const paged = s3Store({ ...server, url: proxy.url }, bucket, { pageKeys: 3 });
    const keys = Array.from({ length: 10 }, (_, at) => `pages/${at}`);
    for (const key of keys) await paged.put(key, Buffer.from('x'));
    proxy.plan = ({ operation, count }) => (operation === 'ListObjects' && count % 2 === 0 ? s3Trouble.slowDown : undefined);
    const patient = retryingStore(paged, { backoff: { minMs: 1, maxMs: 2 } });
    const listed = await Array.fromAsync(patient.list('pages/'));
    assert.deepEqual(
      listed.map(({ key }) => key),
      keys,
    );
    proxy.heal();
    await paged.close();
  });

  it('tries end with their number, with a lasting failure, and with the signal', async () => {
    proxy.plan = () => s3Trouble.slowDown;
    let tries = 0;
    const backoff = { minMs: 1, maxMs: 2 };
    await assert.rejects(retryingStore(store, { backoff, triesMax: 3, onRetry: () => tries++ }).get('key'), {
      code: 'S3_UNAVAILABLE',
    });
    assert.equal(tries, 2);
    const ending = new AbortController();
    const endless = retryingStore(store, { backoff, onRetry: () => ending.abort() });
    await assert.rejects(endless.get('key', undefined, ending.signal), { code: 'S3_UNAVAILABLE' });
    proxy.plan = () => ({ is: 'answer', status: 400, code: 'InvalidRequest' });
    await assert.rejects(retryingStore(store, { backoff }).get('key'), { code: 'S3_REFUSED', transient: false });
    proxy.heal();
  });

  it('nobody at the address, and no credentials', async () => {
    const gone = await S3FaultProxy.to(server.url);
    const { url } = gone;
    await gone.close();
    await assert.rejects(s3Store({ ...server, url }, bucket).get('key'), { code: 'S3_UNREACHABLE', transient: true });
    const wrong = s3Store({ ...server, credentials: { ...server.credentials!, secretKey: 'wrong' } }, bucket);
    await assert.rejects(
      wrong.get('key'),
      (error: Error & { code?: string }) => error.code === 'S3_CREDENTIALS' && !error.message.includes('wrong'),
    );
  });
});

describe('an archive on S3', () => {
  it('is exact though every third call meets a fault', async () => {
    const random = new Random(seedOfRun('s3 faults'));
    const server = await sharedS3();
    const proxy = await S3FaultProxy.to(server.url);
    const s3 = s3Store({ ...server, url: proxy.url }, 's3-archive', { timeoutMs: 300, pageKeys: 5 });
    const store = retryingStore(s3, { backoff: { minMs: 1, maxMs: 5 } });
    await store.bucket('create');
    const faults = [...new Map([...putFaults, ...getFaults].map(([fault]) => [nameOf(fault), fault])).values()];
    proxy.plan = ({ operation }) => {
      const fault = random.chance(1 / 3) ? random.pick(faults) : undefined;
      // S3 has no checksum for listings: what is wrong in one cannot be seen.
      return fault?.is === 'damagedAnswer' && operation === 'ListObjects' ? undefined : fault;
    };

    // Seven megabytes that nothing makes smaller: this block is read in ranges.
    const noise = Buffer.from(Uint32Array.from({ length: 2 ** 21 / 32 }, () => random.next()).buffer);
    const large = Array.from({ length: 28 }, (_, at) => ({ ...message(63 + at, 'noise'), payload: noise.subarray(at) }));
    const blocks = Array.from({ length: 6 }, (_, block) => Array.from({ length: 12 }, (_, at) => message(block * 10 + at + 1)));
    const written = [...blocks, large];
    for (const [at, messages] of written.entries()) {
      const { is, beside } = await storeBlock(store, 'a/b', await sealed(messages, { after: at * 10 }));
      assert.deepEqual([is === 'stored' || is === 'there', beside], [true, undefined]);
    }

    const expected = new Map(written.flat().map((one) => [one.sequence, Buffer.from(one.payload)]));
    const check = async (subjects?: string[]): Promise<number> => {
      let found = 0;
      let last = 0;
      for await (const { messages } of readArchive(store, { stream: 'ORDERS', prefix: 'a/b', subjects })) {
        for (const { sequence, payload } of messages) {
          assert.ok(sequence > last, `${sequence} after ${last}`);
          assert.ok(expected.get(sequence)?.equals(payload) === true, `message ${sequence}`);
          last = sequence;
          found++;
        }
      }
      return found;
    };
    assert.equal(await check(), expected.size);
    assert.equal(await check(['noise']), 28);
    for await (const finding of verifyArchive(store, {}))
      assert.ok(finding.is === 'whole' || finding.is === 'overlap', finding.is);

    const compacted = await Array.fromAsync(compactArchive(store, { prefix: 'a/b', targetBytes: 100_000 }));
    assert.ok(compacted.every(({ is }) => is === 'compacted'));
    assert.equal(await check(), expected.size);
    for await (const finding of verifyArchive(store, {})) assert.equal(finding.is, 'whole');

    await Array.fromAsync(pruneArchive(store, { before: timeOf(message(1_000)) }));
    assert.equal(await check(), 0);
    assert.ok(proxy.applied.size >= faults.length / 2, [...proxy.applied.keys()].join(' '));
    await store.close();
    await proxy.close();
  });
});

describe('credentials', () => {
  it('come from the environment, from a profile, or are missed by name', async () => {
    const server = await sharedS3();
    const { accessKey, secretKey } = server.credentials!;
    const directory = mkdtempSync(join(tmpdir(), 'aws-'));
    const names = [
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
      'AWS_PROFILE',
      'AWS_CONFIG_FILE',
      'AWS_SHARED_CREDENTIALS_FILE',
      'AWS_EC2_METADATA_DISABLED',
      'AWS_REGION',
      'AWS_DEFAULT_REGION',
    ];
    const saved = names.map((name) => process.env[name]);
    const use = async (env: Record<string, string>): Promise<boolean> => {
      for (const name of names) delete process.env[name];
      Object.assign(process.env, {
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_CONFIG_FILE: join(directory, 'none'),
        AWS_SHARED_CREDENTIALS_FILE: join(directory, 'none'),
        ...env,
      });
      const store = new S3ObjectStore({ bucket: 'credentials', endpoint: server.url, pathStyle: true });
      await store.bucket('create');
      await store.close();
      return true;
    };
    try {
      assert.ok(await use({ AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey }));
      const file = join(directory, 'credentials');
      writeFileSync(file, `[archive]\naws_access_key_id = ${accessKey}\naws_secret_access_key = ${secretKey}\n`);
      assert.ok(await use({ AWS_PROFILE: 'archive', AWS_SHARED_CREDENTIALS_FILE: file }));
      await assert.rejects(use({}), { code: 'S3_CREDENTIALS', transient: true });
    } finally {
      for (const [at, name] of names.entries()) {
        if (saved[at] === undefined) delete process.env[name];
        else process.env[name] = saved[at];
      }
      rmSync(directory, { recursive: true });
    }
  });
});
