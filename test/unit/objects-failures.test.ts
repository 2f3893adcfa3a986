import assert from 'node:assert/strict';
import { test } from 'node:test';
import { S3Error, s3Failure } from '../../src/objects/s3-failure.ts';

const attempt = { bucket: 'backups', endpoint: 'https://user:secret@store.local', timeoutMs: 1_000, doing: 'writing key' };

function failureOf(fields: { name?: string; message?: string; code?: string; status?: number; cause?: unknown }) {
  const { status, ...rest } = fields;
  const metadata = status === undefined ? {} : { $metadata: { httpStatusCode: status } };
  return s3Failure(Object.assign(new Error(fields.message ?? 'it failed'), rest, metadata), attempt);
}

test('what can pass, or be set right from outside, is transient', () => {
  const cases: [Parameters<typeof failureOf>[0], string][] = [
    [{ name: 'InternalError', status: 500 }, 'S3_UNAVAILABLE'],
    [{ name: 'SlowDown', status: 503 }, 'S3_UNAVAILABLE'],
    [{ name: 'TooManyRequestsException', status: 429 }, 'S3_UNAVAILABLE'],
    [{ name: 'RequestTimeout', status: 400 }, 'S3_UNAVAILABLE'],
    [{ name: 'ConditionalRequestConflict', status: 409 }, 'S3_UNAVAILABLE'],
    [{ name: 'NoSuchBucket', status: 404 }, 'S3_BUCKET_MISSING'],
    [{ name: 'AccessDenied', status: 403 }, 'S3_FORBIDDEN'],
    [{ name: '403', status: 403 }, 'S3_FORBIDDEN'],
    [{ name: 'ExpiredToken', status: 400 }, 'S3_CREDENTIALS'],
    [{ name: 'SignatureDoesNotMatch', status: 403 }, 'S3_CREDENTIALS'],
    [{ name: 'RequestTimeTooSkewed', status: 403 }, 'S3_CREDENTIALS'],
    [{ name: 'CredentialsProviderError' }, 'S3_CREDENTIALS'],
    [{ name: 'BadDigest', status: 400 }, 'S3_CHECKSUM'],
    [{ name: 'XAmzContentSHA256Mismatch', status: 400 }, 'S3_CHECKSUM'],
    [{ message: 'Checksum mismatch: expected "a" but received "b"' }, 'S3_CHECKSUM'],
    [{ name: 'XMinioStorageFull', status: 507 }, 'S3_FULL'],
    [{ name: 'QuotaExceeded', status: 403 }, 'S3_FULL'],
    [{ name: 'PermanentRedirect', status: 301 }, 'S3_REGION'],
    [{ code: 'ECONNREFUSED' }, 'S3_UNREACHABLE'],
    [{ name: 'TimeoutError', code: 'ECONNRESET' }, 'S3_UNREACHABLE'],
    [{ cause: Object.assign(new Error('no such host'), { code: 'ENOTFOUND' }) }, 'S3_UNREACHABLE'],
    [{ name: 'TimeoutError' }, 'S3_TIMEOUT'],
    [{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, 'S3_TLS'],
    [{ name: 'SyntaxError', message: 'not XML' }, 'S3_ANSWER_INVALID'],
  ];
  for (const [fields, code] of cases) {
    const failure = failureOf(fields);
    assert.deepEqual([failure.code, failure.transient], [code, true], JSON.stringify(fields));
    assert.ok(!failure.message.includes('secret'), failure.message);
  }
});

test('what waiting cannot change is not', () => {
  for (const [name, status] of [
    ['InvalidRequest', 400],
    ['EntityTooLarge', 400],
    ['KeyTooLongError', 400],
    ['InvalidBucketName', 400],
    ['MethodNotAllowed', 405],
    ['NotImplemented', 501],
    ['BucketAlreadyExists', 409],
  ] as const) {
    const failure = failureOf({ name, status });
    assert.ok(failure instanceof S3Error);
    assert.deepEqual([failure.code, failure.transient, failure.word, failure.status], ['S3_REFUSED', false, name, status]);
  }
  assert.deepEqual([failureOf({ name: 'AbortError' }).code, failureOf({ name: 'AbortError' }).transient], ['S3_ABORTED', false]);
});

test('an error that has a name already keeps it', () => {
  const known = failureOf({ name: 'SlowDown', status: 503 });
  assert.equal(s3Failure(known, attempt), known);
});
