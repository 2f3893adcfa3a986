import type { MsgHdrs } from '@nats-io/transport-node';

/** Names of NATS's own message headers (ADR-4, ADR-9, ADR-22). What the product adds is core/frame.ts's. */
export const header = {
  /** Deduplication id within the stream's window. */
  messageId: 'Nats-Msg-Id',
  /** The server refuses the message when another stream would store it. */
  expectedStream: 'Nats-Expected-Stream',
  /** On status messages: what of a pull request was left undelivered. */
  pendingMessages: 'Nats-Pending-Messages',
  pendingBytes: 'Nats-Pending-Bytes',
} as const;

const none: ReadonlyMap<string, string> = new Map();

/** True when the text can stand in a header: a line break would start another one. */
export function isHeaderText(text: string): boolean {
  return !/[\r\n]/.test(text);
}

/** Headers as a plain map. Several values of one name are joined by `, `, as HTTP does. */
export function headerMap(headers: MsgHdrs | undefined): ReadonlyMap<string, string> {
  if (headers === undefined) return none;
  const found = new Map<string, string>();
  for (const [name, values] of headers) found.set(name, values.join(', '));
  return found;
}
