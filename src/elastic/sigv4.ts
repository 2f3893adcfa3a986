import { createHash, createHmac } from 'node:crypto';
import { percentEncode } from './path.ts';

/**
 * AWS Signature Version 4 for a whole request body, as Amazon OpenSearch Service wants it
 * (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
 */
export type AwsCredentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string | undefined };

export type SignableRequest = {
  method: string;
  /** The `host` header: name, and port unless it is the scheme's own. */
  host: string;
  /** The path as it goes over the wire: encoded once. */
  path: string;
  /** The query as it goes over the wire, without `?`: encoded and sorted. */
  query: string;
  body: string | Uint8Array;
};

export type SigningScope = { service: string; region: string };

/** The headers to add to the request. `host` must be sent as given. */
export function signatureHeaders(
  request: SignableRequest,
  credentials: AwsCredentials,
  scope: SigningScope,
  now: Date,
): Record<string, string> {
  const time = now.toISOString().replaceAll(/[:-]|\.\d{3}/g, '');
  const contentHash = sha256(request.body);
  const headers: Record<string, string> = { host: request.host, 'x-amz-content-sha256': contentHash, 'x-amz-date': time };
  if (credentials.sessionToken !== undefined) headers['x-amz-security-token'] = credentials.sessionToken;
  const authorization = authorizationHeader(request, headers, contentHash, credentials, scope, time);
  const { host: _host, ...added } = headers;
  return { ...added, authorization };
}

/** The `authorization` header for exactly these headers: names in lower case. `time` is `20150830T123600Z`. */
export function authorizationHeader(
  request: SignableRequest,
  headers: Readonly<Record<string, string>>,
  contentHash: string,
  credentials: AwsCredentials,
  scope: SigningScope,
  time: string,
): string {
  const names = Object.keys(headers).sort();
  const signedHeaders = names.join(';');
  const canonical = [
    request.method,
    // Every service but S3 encodes the path once more.
    request.path.split('/').map(percentEncode).join('/'),
    request.query,
    ...names.map((name) => `${name}:${headers[name]!.trim().replaceAll(/ +/g, ' ')}`),
    '',
    signedHeaders,
    contentHash,
  ].join('\n');
  const day = time.slice(0, 8);
  const place = `${day}/${scope.region}/${scope.service}/aws4_request`;
  const key = [day, scope.region, scope.service, 'aws4_request'].reduce<string | Buffer>(
    (secret, part) => hmac(secret, part),
    `AWS4${credentials.secretAccessKey}`,
  );
  const signature = hmac(key, ['AWS4-HMAC-SHA256', time, place, sha256(canonical)].join('\n')).toString('hex');
  return `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${place}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
