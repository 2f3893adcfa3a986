import { ElasticError } from './errors.ts';

/** What a request was about, for messages. */
export type Attempt = {
  method: string;
  path: string;
  host: string;
  hostsSetting: string;
  authSetting: string;
  needs: string | undefined;
};

/** How a request that got no answer failed: `unsent` reached nobody, `lost` may have been carried out. */
export type Loss = { kind: 'unsent' | 'lost' | 'timeout' | 'tls' | 'aborted' | 'closed'; code: string; text: string };

const unsentCodes = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);

/** Names an error of undici, the socket or TLS. */
export function lossOf(error: unknown): Loss {
  const code = errorCode(error);
  const message = error instanceof Error ? error.message : String(error);
  // OpenSSL has a short reason beside its trace, and Node adds advice for its own command line to some messages.
  const { reason } = error as { reason?: unknown };
  const words = code.startsWith('ERR_SSL') && typeof reason === 'string' ? reason : message.split('; if the root CA')[0]!;
  const text = words === '' ? code : words;
  if (unsentCodes.has(code)) return { kind: 'unsent', code, text };
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') return { kind: 'timeout', code, text };
  if (
    code === 'UND_ERR_ABORTED' ||
    code === 'ABORT_ERR' ||
    (error instanceof Error && /^(Abort|Timeout)Error$/.test(error.name))
  ) {
    return { kind: 'aborted', code, text };
  }
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') return { kind: 'closed', code, text };
  if (/CERT|SIGNATURE|ERR_TLS|ERR_SSL|ERR_OSSL|^EPROTO$|^HOSTNAME_MISMATCH$/.test(code)) return { kind: 'tls', code, text };
  return { kind: 'lost', code, text };
}

function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === 'string') return code;
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? '' : errorCode(cause);
}

/** The error for a request that no host answered. */
export function lossError(loss: Loss, attempt: Attempt, timeoutMs: number, cause: unknown): ElasticError {
  const { host, hostsSetting } = attempt;
  switch (loss.kind) {
    case 'aborted':
    case 'closed':
      return new ElasticError('ES_ABORTED', `${attempt.method} ${attempt.path} was given up: ${loss.text}`, { cause });
    case 'timeout':
      return new ElasticError('ES_TIMEOUT', `${host} did not answer ${attempt.method} ${attempt.path} within ${timeoutMs} ms`, {
        transient: true,
        reason: loss.text,
        hint: `check the load of the cluster behind ${hostsSetting}`,
        cause,
      });
    case 'tls':
      return new ElasticError('ES_TLS', `no trusted connection to ${host}: ${loss.text} (${loss.code})`, {
        reason: loss.text,
        hint: `give the cluster’s certificate authority with --es-ca-file (ES_CA_FILE), or correct scheme and name in ${hostsSetting}`,
        cause,
      });
    case 'unsent':
    case 'lost':
    default:
      return new ElasticError('ES_UNREACHABLE', `cannot reach ${host}: ${loss.text}`, {
        transient: true,
        reason: loss.text,
        hint: `check ${hostsSetting}: name, port, and https:// where the cluster uses TLS`,
        cause,
      });
  }
}

/** `error.type` and `error.reason` of an answer, or its first words where it is not the cluster that answers. */
export function serverReason(body: Buffer): { type: string; reason: string } {
  const text = body.toString('utf8', 0, reasonBytesMax);
  const parsed = parseOrUndefined(body.length <= reasonBytesMax ? text : '');
  const error = (parsed as { error?: unknown } | undefined)?.error;
  if (typeof error === 'string') return { type: '', reason: error };
  if (typeof error === 'object' && error !== null) {
    const root = (error as { root_cause?: ServerError[] }).root_cause?.[0];
    const { type, reason } = error as ServerError;
    const deeper = root?.reason ?? '';
    return { type: type ?? '', reason: deeper === '' || deeper === reason ? (reason ?? '') : `${reason ?? ''}: ${deeper}` };
  }
  const message =
    (parsed as { message?: unknown; Message?: unknown } | undefined)?.message ??
    (parsed as { Message?: unknown } | undefined)?.Message;
  return { type: '', reason: typeof message === 'string' ? message : text.replaceAll(/\s+/g, ' ').slice(0, 300) };
}
const reasonBytesMax = 256 * 1024;
type ServerError = { type?: string; reason?: string };

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The error for an answer with a status of 400 or more. */
export function statusError(status: number, body: Buffer, attempt: Attempt): ElasticError {
  const { type, reason } = serverReason(body);
  const said = reason === '' ? type : reason;
  const message = `${attempt.host} answered ${attempt.method} ${attempt.path} with ${status}${said === '' ? '' : `: ${said}`}`;
  const facts = { status, type, reason };
  if (status === 401) {
    const hint = `the cluster does not accept the credentials: check ${attempt.authSetting}`;
    return new ElasticError('ES_UNAUTHORIZED', message, { ...facts, hint });
  }
  if (status === 403 && type !== 'cluster_block_exception') {
    const needs = attempt.needs ?? 'the privilege this request needs';
    return new ElasticError('ES_FORBIDDEN', message, { ...facts, hint: `grant ${needs} to the user of ${attempt.authSetting}` });
  }
  if (status === 404) return new ElasticError('ES_NOT_FOUND', message, facts);
  if (status === 429) return new ElasticError('ES_OVERLOADED', message, { ...facts, transient: true });
  if (status >= 500 || type === 'cluster_block_exception') {
    return new ElasticError('ES_UNAVAILABLE', message, { ...facts, transient: true });
  }
  return new ElasticError('ES_REQUEST_REFUSED', message, facts);
}
