import { inspect } from 'node:util';
import { GatewayError, UsageError } from '../core/errors.ts';
import { hideSecrets } from './hide-secrets.ts';
import type { Log } from './log.ts';

/** 2 for wrong usage, 1 for any other failure. */
export function exitCodeOf(error: unknown): number {
  return error instanceof UsageError ? 2 : 1;
}

/** For a person at a terminal: the message, then the next step; a stack only for what nobody foresaw. */
export function failureText(program: string, error: unknown, secrets: readonly string[] = []): string {
  if (!(error instanceof GatewayError)) return `${program}: ${hideSecrets(inspect(error), secrets)}\n`;
  const lines = error.message.split('\n').map((line) => `${program}: ${line}`);
  if (error.hint !== undefined) lines.push(`  ${error.hint}`);
  return `${hideSecrets(lines.join('\n'), secrets)}\n`;
}

/** The last line of a run. What we know how to explain needs no stack; what we do not, does. */
export function logFailure(log: Log, error: unknown): void {
  if (!(error instanceof GatewayError)) {
    log.fatal({ err: error }, 'unexpected failure');
    return;
  }
  const err = log.isLevelEnabled('debug') ? { err: error } : {};
  log.fatal({ code: error.code, ...(error.hint === undefined ? {} : { hint: error.hint }), ...err }, error.message);
}
