import { GatewayError } from '../core/errors.ts';
import { apiCode } from './failures.ts';
import type { PubAck } from './puback.ts';

/** What to do about a refused publish: `full` and `later` pass by themselves, `suspect` needs a look at the stream, `lost` does not pass. */
export type Verdict = { is: 'full' | 'later' | 'suspect'; reason: string } | { is: 'lost'; error: GatewayError };

const duplicateInProgress = 10158;
const messageTooLarge = 10054;
const fullCodes: ReadonlySet<number> = new Set([
  // Also the store's own failures, such as a full disk: they are waited out the same way.
  apiCode.storeFailed,
  apiCode.insufficientResources,
  apiCode.storageExceeded,
  apiCode.memoryExceeded,
]);

export function judgeRefusal(stream: string, subject: string, refused: PubAck & { is: 'refused' }): Verdict {
  if (fullCodes.has(refused.apiCode)) return { is: 'full', reason: refused.reason };
  if (refused.apiCode === apiCode.streamMismatch) return { is: 'suspect', reason: refused.reason };
  if (refused.apiCode === messageTooLarge)
    return { is: 'lost', error: tooLarge(subject, `stream ${stream} refuses it: ${refused.reason}`) };
  if (refused.code >= 500 || refused.apiCode === duplicateInProgress) return { is: 'later', reason: refused.reason };
  const text = `stream ${stream} refused a message on ${subject}: ${refused.reason} (JetStream error ${refused.apiCode})`;
  return { is: 'lost', error: new GatewayError('STREAM_REFUSED', text, { hint: `check the configuration of stream ${stream}` }) };
}

export function tooLarge(subject: string, why: string): GatewayError {
  const hint = 'raise max_payload of the server, max_msg_size of the stream or --stream-max-bytes, whichever the message names';
  return new GatewayError('MESSAGE_TOO_LARGE', `a message on ${subject} is too large: ${why}`, { hint });
}

export function streamMissing(stream: string): GatewayError {
  return new GatewayError('STREAM_MISSING', `stream ${stream} is gone`, {
    hint: 'it was deleted, or the server lost its files; check --stream (STREAM)',
    transient: true,
  });
}

export function foreignStream(expected: string, actual: string, subject: string): GatewayError {
  return new GatewayError('STREAM_MISMATCH', `${subject} is stored by stream ${actual}, not by ${expected}`, {
    hint: `check --stream (STREAM) and the subjects of both streams`,
  });
}
