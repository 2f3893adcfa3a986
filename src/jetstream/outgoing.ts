import { MsgHdrsImpl, type MsgHdrs } from '@nats-io/transport-node';
import { GatewayError } from '../core/errors.ts';
import type { OutgoingMessage, Stored } from '../core/strategy.ts';
import { header, isHeaderText } from './headers.ts';

/** A message that the sink has taken and the stream has not confirmed. */
export type Pending = {
  readonly token: number;
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs;
  readonly bytes: number;
  readonly resolve: (stored: Stored) => void;
  readonly reject: (error: GatewayError) => void;
  /** `air`: published, answer due by `dueAt`. `again`: waits to be published once more. */
  state: 'queued' | 'air' | 'again' | 'done';
  dueAt: number;
  /** The highest sequence known when it was first published: what is stored later lies above. */
  above: number;
  refusedForSpace: boolean;
};

/** What in a message would break the protocol; undefined when nothing would. */
export function invalid(message: OutgoingMessage): GatewayError | undefined {
  const subject = JSON.stringify(message.subject);
  const refuse = (what: string): GatewayError => new GatewayError('MESSAGE_INVALID', `a message on ${subject} has ${what}`);
  if (message.subject === '' || /[\s\0*>]/.test(message.subject)) return refuse('a subject that cannot be published to');
  if (message.id !== undefined && !isHeaderText(message.id)) return refuse('an id with a line break');
  for (const [name, value] of message.headers ?? []) {
    if (name === '' || /[\s:]/.test(name) || !isHeaderText(value))
      return refuse(`a header that is none: ${JSON.stringify(name)}`);
  }
  return undefined;
}

/** The headers as published, and the bytes of headers and payload, which the server's max_payload limits. */
export function prepare(stream: string, message: OutgoingMessage): { headers: MsgHdrs; bytes: number } {
  const lines: Record<string, string[]> = { [header.expectedStream]: [stream] };
  if (message.id !== undefined) lines[header.messageId] = [message.id];
  for (const [name, value] of message.headers ?? []) lines[name] = [value];
  let bytes = 'NATS/1.0\r\n\r\n'.length + message.payload.length;
  for (const name of Object.keys(lines)) bytes += name.length + Buffer.byteLength(lines[name]?.[0] ?? '') + ': \r\n'.length;
  return { headers: MsgHdrsImpl.fromRecord(lines), bytes };
}
