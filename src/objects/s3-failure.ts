import { GatewayError } from '../core/errors.ts';
import { safeUrl } from '../core/safe-url.ts';

/** Where and at what something went wrong. */
export type S3Attempt = { bucket: string; endpoint: string | undefined; timeoutMs: number; doing: string };

/** What the store itself said. `status` 0: nothing. */
export class S3Error extends GatewayError {
  readonly status: number;
  /** S3's own word, such as `SlowDown`. */
  readonly s3Code: string;

  constructor(
    code: string,
    message: string,
    options: ConstructorParameters<typeof GatewayError>[2] & { status: number; s3Code: string },
  ) {
    super(code, message, options);
    this.name = 'S3Error';
    this.status = options.status;
    this.s3Code = options.s3Code;
  }
}

export function s3ErrorOf(error: unknown): { status: number; code: string } | undefined {
  return error instanceof S3Error ? { status: error.status, code: error.s3Code } : undefined;
}

const credentialsRefused =
  /^(InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken(Exception)?|InvalidToken|TokenRefreshRequired|RequestExpired|AuthorizationHeaderMalformed|UnrecognizedClientException)$/;
const checksumWrong =
  /^(BadDigest|InvalidDigest|XAmzContentChecksumMismatch|XAmzContentSHA256Mismatch|IncompleteBody|ContentSHA256Mismatch)$/;
const busy =
  /^(SlowDown|ServiceUnavailable|InternalError|RequestTimeout|OperationAborted|ConditionalRequestConflict|RequestLimitExceeded|Throttling.*|TooManyRequests.*|ServerBusy|XMinio.*)$/;
const noCredentials = /^(CredentialsProviderError|TokenProviderError|ProviderError)$/;
const tls = /CERT|SIGNATURE|ERR_TLS|ERR_SSL|ERR_OSSL|^EPROTO$|^HOSTNAME_MISMATCH$/;

export function bucketMissing(bucket: string): S3Error {
  return new S3Error('S3_BUCKET_MISSING', `there is no bucket ${bucket}`, {
    transient: true,
    hint: 'create it, or correct its name',
    status: 404,
    s3Code: 'NoSuchBucket',
  });
}

/** Classifies what a call has thrown. What could pass by itself, or be set right without us, is transient. */
export function s3Failure(error: unknown, attempt: S3Attempt): GatewayError {
  if (error instanceof GatewayError) return error;
  const { name, message, status, nodeCode } = readError(error);
  const where = `${attempt.doing} in bucket ${attempt.bucket}`;
  const host = attempt.endpoint === undefined ? 'S3' : safeUrl(attempt.endpoint);
  const fail = (code: string, what: string, hint?: string, transient = true) =>
    new S3Error(code, `${where}: ${what}`, { hint, transient, cause: error, status, s3Code: name });

  if (name === 'AbortError') return fail('S3_ABORTED', 'given up', undefined, false);
  if (noCredentials.test(name))
    return fail(
      'S3_CREDENTIALS',
      `no credentials: ${message}`,
      'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or an instance role',
    );
  if (status === 0) {
    if (name === 'TimeoutError' || nodeCode === 'ETIMEDOUT')
      return fail(
        'S3_TIMEOUT',
        `${host} was silent for ${attempt.timeoutMs} ms`,
        'check the load of the store and the network to it',
      );
    if (tls.test(nodeCode))
      return fail('S3_TLS', `no trusted connection to ${host}: ${message}`, 'give the certificate authority of the store');
    if (nodeCode !== '')
      return fail('S3_UNREACHABLE', `cannot reach ${host}: ${message || nodeCode}`, 'check --s3-endpoint and the network');
    if (/checksum/i.test(message)) return fail('S3_CHECKSUM', message, 'the content was damaged on its way');
    return fail(
      'S3_ANSWER_INVALID',
      `an answer that is none of S3's: ${message}`,
      'check what stands between this program and the store',
    );
  }
  if (name === 'NoSuchBucket') return bucketMissing(attempt.bucket);
  if (checksumWrong.test(name))
    return fail('S3_CHECKSUM', `the content was damaged on its way (${name})`, 'check the network to the store');
  if (credentialsRefused.test(name) || status === 401)
    return fail(
      'S3_CREDENTIALS',
      `the store does not accept the credentials: ${name}`,
      'renew the access key, or correct region and clock',
    );
  if (name === 'RequestTimeTooSkewed')
    return fail('S3_CREDENTIALS', 'the clocks differ too much', 'set the clock of this machine');
  if (status === 403)
    return fail(
      'S3_FORBIDDEN',
      `access denied (${name})`,
      'allow s3:GetObject, PutObject, DeleteObject and ListBucket on the bucket',
    );
  if (status === 507 || /StorageFull|QuotaExceeded/i.test(name))
    return fail('S3_FULL', `no space left (${name})`, 'make room on the store');
  if (status === 429 || status >= 500 || busy.test(name) || status === 409)
    return fail('S3_UNAVAILABLE', `the store answered ${status} ${name}`, 'wait: it is tried again');
  return fail('S3_REFUSED', `the store answered ${status} ${name}: ${message}`, undefined, false);
}

type Seen = { name: string; message: string; status: number; nodeCode: string };

function readError(error: unknown): Seen {
  const seen = error as {
    name?: string;
    message?: string;
    code?: unknown;
    Code?: string;
    $metadata?: { httpStatusCode?: number };
  };
  const cause = error instanceof Error && error.cause !== undefined ? readError(error.cause) : undefined;
  return {
    name: seen?.name ?? 'Error',
    message: seen?.message ?? String(error),
    status: seen?.$metadata?.httpStatusCode ?? 0,
    nodeCode: typeof seen?.code === 'string' && seen.code !== '' ? seen.code : (cause?.nodeCode ?? ''),
  };
}
