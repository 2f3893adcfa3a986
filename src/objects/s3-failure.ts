import { GatewayError, type GatewayErrorOptions } from '../core/errors.ts';
import { safeUrl } from '../core/safe-url.ts';

/** What was being done, and where. */
export type S3Attempt = { bucket: string; endpoint: string | undefined; timeoutMs: number; doing: string };

type S3ErrorOptions = GatewayErrorOptions & { status?: number; word?: string };

/** A failed call. `status` is the HTTP status, 0 where there was no answer; `word` is the store's own code, such as `SlowDown`. */
export class S3Error extends GatewayError {
  readonly status: number;
  readonly word: string;

  constructor(code: string, message: string, options: S3ErrorOptions = {}) {
    super(code, message, options);
    this.name = 'S3Error';
    this.status = options.status ?? 0;
    this.word = options.word ?? '';
  }
}

export function bucketMissing(bucket: string, cause?: unknown): S3Error {
  return new S3Error('S3_BUCKET_MISSING', `there is no bucket ${bucket}`, {
    transient: true,
    hint: 'create it, or correct its name',
    status: 404,
    word: 'NoSuchBucket',
    cause,
  });
}

export function callAborted(bucket: string, cause: unknown): S3Error {
  return new S3Error('S3_ABORTED', `a call to bucket ${bucket} was given up`, { cause });
}

const words = {
  credentials:
    /^(InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken(Exception)?|InvalidToken|TokenRefreshRequired|RequestExpired|RequestTimeTooSkewed|UnrecognizedClientException|InvalidClientTokenId)$/,
  checksum: /^(BadDigest|InvalidDigest|ContentSHA256Mismatch|XAmzContent\w+Mismatch|IncompleteBody)$/,
  full: /^(\w*StorageFull|\w*QuotaExceeded|InsufficientStorage)$/,
  /** What waiting does not change, though the status looks like it. */
  lasting: /^(NotImplemented|MethodNotAllowed|BucketAlreadyExists)$/,
  /** Of an answer below 500. */
  busy: /^(SlowDown|RequestTimeout|OperationAborted|ConditionalRequestConflict|RequestLimitExceeded|Throttl\w+|TooManyRequests\w*)$/,
  /** The SDK's names for credentials that it did not find, or could not fetch. */
  noCredentials: /^(CredentialsProviderError|TokenProviderError|ProviderError)$/,
  region: /^(PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException)$/,
};
const tls = /CERT|SIGNATURE|ERR_TLS|ERR_SSL|ERR_OSSL|^EPROTO$|^HOSTNAME_MISMATCH$/;

/**
 * What a call has thrown, as one of the product's errors. Whatever can pass by itself, or be set right by somebody while we wait, is
 * transient: only what the request itself is to blame for is not.
 */
export function s3Failure(error: unknown, attempt: S3Attempt): GatewayError {
  if (error instanceof GatewayError) return error;
  const seen = look(error);
  if (seen.name === 'AbortError') return callAborted(attempt.bucket, error);
  if (words.noCredentials.test(seen.name)) {
    return new S3Error('S3_CREDENTIALS', `${where(attempt)}: there are no credentials: ${seen.message}`, {
      transient: true,
      hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run with a role',
      cause: error,
    });
  }
  // Answered with success, and thrown all the same: the answer could not be read.
  return seen.status < 300 ? lossError(seen, attempt, error) : answerError(seen, attempt, error);
}

/** There was no answer, or none that could be used. */
function lossError({ name, message, nodeCode }: Seen, attempt: S3Attempt, cause: unknown): S3Error {
  const host = attempt.endpoint === undefined ? 'S3' : safeUrl(attempt.endpoint);
  const doing = where(attempt);
  const transient = true;
  // The SDK calls a reset connection a TimeoutError too.
  if (nodeCode === 'ETIMEDOUT' || (name === 'TimeoutError' && nodeCode === '')) {
    const hint = 'check the load of the store and the network to it';
    return new S3Error('S3_TIMEOUT', `${doing}: ${host} was silent for ${attempt.timeoutMs} ms`, { transient, hint, cause });
  }
  if (tls.test(nodeCode)) {
    const hint = 'give the certificate authority of the store, or correct its address';
    return new S3Error('S3_TLS', `${doing}: no trusted connection to ${host}: ${message}`, { transient, hint, cause });
  }
  if (nodeCode !== '') {
    const hint = 'check the address of the store (S3_ENDPOINT) and the network to it';
    return new S3Error('S3_UNREACHABLE', `${doing}: cannot reach ${host}: ${message || nodeCode}`, { transient, hint, cause });
  }
  if (/checksum/i.test(message)) {
    const hint = 'the content was damaged on its way: check the network to the store';
    return new S3Error('S3_CHECKSUM', `${doing}: ${message}`, { transient, hint, cause });
  }
  const hint = 'check what stands between this program and the store';
  return new S3Error('S3_ANSWER_INVALID', `${doing}: the answer is none of S3's: ${message}`, { transient, hint, cause });
}

function answerError({ name: word, message, status }: Seen, attempt: S3Attempt, cause: unknown): S3Error {
  if (word === 'NoSuchBucket') return bucketMissing(attempt.bucket, cause);
  const doing = where(attempt);
  const facts = { status, word, cause, transient: true };
  if (words.checksum.test(word)) {
    const hint = 'the content was damaged on its way: check the network to the store';
    return new S3Error('S3_CHECKSUM', `${doing}: the store says ${word}`, { ...facts, hint });
  }
  if (words.credentials.test(word) || status === 401) {
    const hint = 'renew the access key; check the clock of this machine';
    return new S3Error('S3_CREDENTIALS', `${doing}: the store does not accept the credentials: ${word}`, { ...facts, hint });
  }
  if (words.region.test(word) || status === 301) {
    const hint = 'set AWS_REGION to the region of the bucket';
    return new S3Error('S3_REGION', `${doing}: the bucket is in another region (${word})`, { ...facts, hint });
  }
  if (words.full.test(word) || status === 507) {
    return new S3Error('S3_FULL', `${doing}: the store has no space left (${word})`, {
      ...facts,
      hint: 'make room on the store',
    });
  }
  if (status === 403) {
    const hint = 'allow s3:ListBucket on the bucket and s3:GetObject, s3:PutObject, s3:DeleteObject on its objects';
    return new S3Error('S3_FORBIDDEN', `${doing}: the store denies it (${word})`, { ...facts, hint });
  }
  if (!words.lasting.test(word) && (status >= 500 || status === 409 || status === 429 || words.busy.test(word))) {
    return new S3Error('S3_UNAVAILABLE', `${doing}: the store answered ${status} ${word}`, facts);
  }
  return new S3Error('S3_REFUSED', `${doing}: the store answered ${status} ${word}: ${message}`, { ...facts, transient: false });
}

function where({ doing, bucket }: S3Attempt): string {
  return `${doing} in bucket ${bucket}`;
}

type Seen = { name: string; message: string; status: number; nodeCode: string };

/** The SDK throws errors of its services (with a status), of its own, and of Node; some carry the real one as their cause. */
function look(error: unknown): Seen {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), status: 0, nodeCode: '' };
  const { name, message, code, $metadata, cause } = error as Error & { code?: unknown; $metadata?: { httpStatusCode?: number } };
  const deeper = cause === undefined ? undefined : look(cause);
  return {
    name,
    message,
    status: $metadata?.httpStatusCode ?? 0,
    nodeCode: typeof code === 'string' ? code : (deeper?.nodeCode ?? ''),
  };
}
