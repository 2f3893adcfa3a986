/** What went wrong, in a form that a log line, an HTTP answer and an exit message can share. */
export type GatewayErrorOptions = {
  /** The next step for the reader: names the setting, index or host concerned. */
  hint?: string | undefined;
  /** True when waiting and trying again can succeed (network, overload, a missing peer). */
  transient?: boolean;
  cause?: unknown;
};

/**
 * The product's only error class. `code` is stable and documented (docs/errors.md): upper-case words joined by `_`.
 * `message` says what was tried and what came of it; `hint` says what to do.
 */
export class GatewayError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly transient: boolean;

  constructor(code: string, message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'GatewayError';
    this.code = code;
    this.hint = options.hint;
    this.transient = options.transient ?? false;
  }
}

/** A wrong flag, variable or file key: exit code 2. */
export class UsageError extends GatewayError {
  constructor(code: string, message: string, hint?: string) {
    super(code, message, { hint });
    this.name = 'UsageError';
  }
}

/** True when the failure is known to pass by itself. Unknown errors are taken as lasting. */
export function isTransient(error: unknown): boolean {
  return error instanceof GatewayError && error.transient;
}

/** One line for a person: message and hint, without a stack. */
export function describeError(error: unknown): string {
  if (error instanceof GatewayError) return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
  return error instanceof Error ? error.message : String(error);
}
