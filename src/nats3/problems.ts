import type { FastifyReply } from 'fastify';
import type { ZodError } from 'zod';
import { describeError, GatewayError, isTransient } from '../core/errors.ts';
import type { Problem } from './schema.ts';

/** An error with the HTTP status that goes with it. */
export class ApiError extends GatewayError {
  readonly status: number;
  readonly fields: readonly { field: string; message: string }[];

  constructor(
    status: number,
    code: string,
    message: string,
    hint?: string,
    fields: readonly { field: string; message: string }[] = [],
  ) {
    super(code, message, { hint });
    this.name = 'ApiError';
    this.status = status;
    this.fields = fields;
  }
}

const titles: Record<number, string> = {
  400: 'Bad request',
  401: 'Unauthorised',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Cannot be done',
  500: 'Internal error',
  503: 'Not now',
};

/** Codes that are thrown below the API and mean more than "it failed". */
const statusOf: Record<string, number> = {
  STREAM_MISSING: 404,
  S3_BUCKET_MISSING: 404,
  ARCHIVE_DAMAGED: 422,
  ARCHIVE_NEWER: 422,
  SUBJECT_MAPPING: 400,
  TIME_INVALID: 400,
  STREAM_OVERLAP: 422,
  NAME_INVALID: 400,
};

/** Which fields of a request are wrong, and why. */
export function badFields(error: ZodError): ApiError {
  const fields = error.issues.flatMap((issue) => {
    const at = issue.path.join('.');
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ field: at === '' ? key : `${at}.${key}`, message: 'there is no such field' }));
    return [{ field: at === '' ? '(body)' : at, message: issue.message }];
  });
  const text = fields.map(({ field, message }) => `${field}: ${message}`).join('; ');
  return new ApiError(400, 'FIELD_INVALID', text, 'GET /openapi.json tells what each field takes', fields);
}

export function sendProblem(reply: FastifyReply, error: unknown): FastifyReply {
  const body = problemOf(error);
  if (body.status === 401) void reply.header('www-authenticate', 'Bearer');
  return reply.code(body.status).type('application/problem+json').send(body);
}

function problemOf(error: unknown): Problem {
  if (error instanceof GatewayError) {
    const status = error instanceof ApiError ? error.status : (statusOf[error.code] ?? (isTransient(error) ? 503 : 500));
    const fields = error instanceof ApiError ? error.fields : [];
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    return {
      ...about(status, error.code, error.message),
      ...hint,
      ...(fields.length === 0 ? {} : { errors: [...fields] }),
    };
  }
  // The HTTP server's own refusals: a body that is no JSON, one that is too large.
  const status = (error as { statusCode?: number }).statusCode ?? 500;
  const code = status === 500 ? 'UNEXPECTED' : status === 413 ? 'BODY_TOO_LARGE' : 'BODY_INVALID';
  return about(status, code, describeError(error));
}

function about(status: number, code: string, detail: string): Problem {
  return { type: 'about:blank', title: titles[status] ?? 'Error', status, code, detail };
}
