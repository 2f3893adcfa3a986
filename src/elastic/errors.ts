import { GatewayError, type GatewayErrorOptions } from '../core/errors.ts';

export type ElasticErrorOptions = GatewayErrorOptions & {
  status?: number;
  type?: string;
  reason?: string;
};

/** A failed request to a cluster. `status` is the HTTP status, 0 where there was no answer; `type` and `reason` are the server's words. */
export class ElasticError extends GatewayError {
  readonly status: number;
  readonly type: string;
  readonly reason: string;

  constructor(code: string, message: string, options: ElasticErrorOptions = {}) {
    super(code, message, options);
    this.name = 'ElasticError';
    this.status = options.status ?? 0;
    this.type = options.type ?? '';
    this.reason = options.reason ?? '';
  }
}

/** The answer is not what the API promises: cut off, or not JSON. Usually something between us and the cluster did it. */
export function answerInvalid(what: string, cause: unknown): ElasticError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ElasticError('ES_ANSWER_INVALID', `${what} cannot be read: ${reason}`, {
    transient: true,
    reason,
    cause,
    hint: 'check what stands between this program and the cluster: a proxy may cut answers off',
  });
}
