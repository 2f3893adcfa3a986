import { JetStreamApiError } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';
import { GatewayError } from '../core/errors.ts';
import { safeUrl } from '../core/safe-url.ts';

/** JetStream's `err_code` values that the gateway tells apart (nats-server, server/errors.json). */
export const apiCode = {
  consumerNotFound: 10014,
  consumerExists: 10148,
  insufficientResources: 10023,
  noMessageFound: 10037,
  notEnabledForAccount: 10039,
  notEnabled: 10076,
  memoryExceeded: 10028,
  storageExceeded: 10047,
  streamNotFound: 10059,
  streamExists: 10058,
  streamMismatch: 10060,
  subjectOverlap: 10065,
  storeFailed: 10077,
  maxBytesRequired: 10113,
  maxStreamBytes: 10122,
} as const;

/** The stream's code of an API error, or undefined for any other failure. */
export function apiErrorCode(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}

const netCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

function isTlsFailure(error: Error): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return (
    /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)/.test(code) ||
    /certificate|SSL routines|does not support 'tls'/i.test(error.message)
  );
}

const tlsHint =
  'give the authority of the server with --nats-ca-file (NATS_CA_FILE), or correct scheme and name in --nats-url (NATS_URL)';

/** Any failure of the client library as a GatewayError. `tried` reads like "reading stream ES_CHANGES"; no credentials get through. */
export function natsFailure(error: unknown, tried: string): GatewayError {
  if (error instanceof GatewayError) return error;
  if (!(error instanceof Error)) return new GatewayError('NATS_FAILED', `${tried}: ${safeUrl(String(error))}`);
  // Node adds advice for its own command line to some messages.
  const said = `${tried}: ${safeUrl(error.message.split('; if the root CA')[0]!)}`;
  const fail = (code: string, message: string, hint: string, transient = false): GatewayError =>
    new GatewayError(code, message, { hint, transient, cause: error });

  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    return fail('NATS_UNAUTHORISED', said, 'check the credentials given with --nats-url (NATS_URL) or the credentials settings');
  }
  if (error instanceof errors.PermissionViolationError) {
    return fail('NATS_PERMISSION', said, 'grant the NATS user of --nats-url (NATS_URL) this subject');
  }
  if (error instanceof errors.ClosedConnectionError || error instanceof errors.DrainingConnectionError) {
    return fail('NATS_CLOSED', said, 'the connection was closed on this side');
  }
  if (error instanceof JetStreamApiError) return apiFailure(error, said);
  if (error.name === 'JetStreamNotEnabled') return disabledFailure(error, said);
  if (isTlsFailure(error)) return fail('NATS_TLS', said, tlsHint);
  const code = (error as NodeJS.ErrnoException).code;
  if (
    error instanceof errors.TimeoutError ||
    error instanceof errors.RequestError ||
    error instanceof errors.ConnectionError ||
    error instanceof errors.NoRespondersError ||
    netCodes.has(String(code))
  ) {
    return fail('NATS_UNREACHABLE', said, 'is the server of --nats-url (NATS_URL) up and reachable from here?', true);
  }
  return fail('NATS_FAILED', said, 'see the message of the NATS client');
}

/** `doing` reads like "publishing to es.acme.products.index". */
export function notPermitted(doing: string): GatewayError {
  return new GatewayError('NATS_PERMISSION', `${doing} is not permitted`, {
    hint: 'grant the NATS user of --nats-url (NATS_URL) this subject',
  });
}

function apiFailure(error: JetStreamApiError, said: string): GatewayError {
  const text = `${said} (JetStream error ${error.code})`;
  switch (error.code) {
    case apiCode.streamNotFound:
      return new GatewayError('STREAM_MISSING', text, { hint: 'check --stream (STREAM)', transient: true, cause: error });
    case apiCode.notEnabled:
    case apiCode.notEnabledForAccount:
      return disabledFailure(error, said);
    default:
      // 503 is JetStream's "not now": no leader, a store that is full, a stream that is offline.
      return new GatewayError('JETSTREAM_REFUSED', text, { transient: error.status >= 500, cause: error });
  }
}

function disabledFailure(error: Error, said: string): GatewayError {
  // Without a code nobody answered: JetStream is off, or the server has not finished starting.
  const known = error instanceof JetStreamApiError || error.cause instanceof JetStreamApiError;
  return new GatewayError('JETSTREAM_DISABLED', said, {
    hint: 'enable JetStream on the server (nats-server -js) and for the account of --nats-url (NATS_URL)',
    transient: !known,
    cause: error,
  });
}
