import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { authenticator } from '../../src/elastic/auth.ts';
import { percentEncode, queryString } from '../../src/elastic/path.ts';
import { authorizationHeader, signatureHeaders } from '../../src/elastic/sigv4.ts';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const host = 'search-x.eu-central-1.es.amazonaws.com';
const request = { method: 'GET', host, path: '/', query: '', body: '' };

test('get-vanilla of the signature test suite', () => {
  const header = authorizationHeader(
    { method: 'GET', host: 'example.amazonaws.com', path: '/', query: '', body: '' },
    { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' },
    createHash('sha256').digest('hex'),
    credentials,
    { service: 'service', region: 'us-east-1' },
    '20150830T123600Z',
  );
  const signature = '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31';
  const scope = 'AKIDEXAMPLE/20150830/us-east-1/service/aws4_request';
  assert.equal(header, `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host;x-amz-date, Signature=${signature}`);
});

type Golden = {
  name: string;
  method: string;
  path: string;
  query: string;
  body: string;
  sessionToken?: string;
  authorization: string;
};
const goldens = JSON.parse(readFileSync(new URL('../golden/elastic/sigv4.json', import.meta.url), 'utf8')) as Golden[];

for (const { name, sessionToken, authorization, ...signable } of goldens) {
  test(`signed as by AWS's own library: ${name}`, () => {
    const headers = signatureHeaders(
      { ...signable, host },
      { ...credentials, sessionToken },
      { service: 'es', region: 'eu-central-1' },
      new Date('2025-11-21T12:36:00Z'),
    );
    assert.equal(headers['authorization'], authorization);
    assert.equal(headers['x-amz-security-token'], sessionToken);
    assert.equal(headers['x-amz-date'], '20251121T123600Z');
  });
}

test('basic and API key', async () => {
  assert.deepEqual(await authenticator({ kind: 'none' }, Date.now)(request), {});
  assert.deepEqual(await authenticator({ kind: 'basic', user: 'ü', password: 'a:b' }, Date.now)(request), {
    authorization: `Basic ${Buffer.from('ü:a:b').toString('base64')}`,
  });
  const key = Buffer.from('id:secret').toString('base64');
  for (const form of [key, 'id:secret']) {
    assert.deepEqual(await authenticator({ kind: 'apiKey', key: form }, Date.now)(request), { authorization: `ApiKey ${key}` });
  }
});

test('AWS credentials come from the environment, and asked for anew for every request', async (t) => {
  let asked = 0;
  const given = authenticator(
    {
      kind: 'sigv4',
      service: 'aoss',
      region: 'us-east-1',
      credentials: () => Promise.resolve({ ...credentials, accessKeyId: `KEY${++asked}` }),
    },
    () => 0,
  );
  assert.match((await given(request))['authorization'] ?? '', /Credential=KEY1\/19700101\/us-east-1\/aoss\/aws4_request/);
  assert.match((await given(request))['authorization'] ?? '', /Credential=KEY2/);

  const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'];
  const before = names.map((name) => process.env[name]);
  t.after(() => {
    for (const [i, name] of names.entries()) {
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
    }
  });
  for (const name of names) delete process.env[name];
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'FROMENV', AWS_SECRET_ACCESS_KEY: 's' });
  const own = authenticator({ kind: 'sigv4', service: 'es', region: 'eu-west-1' }, () => 0);
  assert.match((await own(request))['authorization'] ?? '', /Credential=FROMENV\/19700101\/eu-west-1\/es/);
});

test('paths and queries are encoded as signatures need it', () => {
  assert.equal(percentEncode("a/b%*'()!~-_.ü"), 'a%2Fb%25%2A%27%28%29%21~-_.%C3%BC');
  assert.equal(queryString({ b: 1, a: true, 'a.': 'x y' }), 'a=true&a.=x%20y&b=1');
  assert.equal(queryString(undefined), '');
});
