import { createHash } from 'node:crypto';
import { encodeDrop } from '../core/drop.ts';
import { encodeEnvelope } from '../core/envelope.ts';
import type { ChangeEvent, IndexDrop, SourceReference } from '../core/event.ts';
import type { Message, OutgoingMessage, Refusal } from '../core/strategy.ts';
import { encodeSubject } from '../core/subject.ts';

/** What a dead letter is about: a change, the end of an index, or a message that is neither. */
export type Undeliverable =
  | { is: 'change'; event: ChangeEvent; targetIndex: string }
  | { is: 'drop'; drop: IndexDrop; targetIndex: string }
  | { is: 'unreadable' };

/** Where a dead letter comes from and where it could not go. */
export type LetterOrigin = { stream: string; consumer: string; hosts: readonly string[] };

const deadLetterPrefix = 'dlq.es';
const reasonCharactersMax = 2_000;

/**
 * One line of JSON (docs/envelope.md): reason, origin and target, then, as its last key, the `envelope` as it would have been written, document
 * untouched. A message that cannot be read is there as base64 (`payload`), or, with `reference`, in an object store (`payload_ref`).
 */
export function encodeLetter(
  letter: Undeliverable,
  message: Message,
  refusal: Refusal,
  origin: LetterOrigin,
  time: number,
  reference?: SourceReference,
): OutgoingMessage {
  const head = {
    v: 1,
    type: refusal.type,
    reason: refusal.reason.slice(0, reasonCharactersMax),
    status: refusal.status,
    ...(letter.is === 'unreadable' ? {} : { target_index: letter.targetIndex }),
    target_hosts: origin.hosts,
    stream: origin.stream,
    stream_sequence: message.sequence,
    subject: message.subject,
    consumer: origin.consumer,
    time: new Date(time).toISOString(),
  };
  return {
    subject: letterSubject(letter),
    id: letterId(letter, message, origin),
    payload: line(head, lastKeys(letter, message, reference)),
  };
}

/** The same letter always has the same id, so that one that is stored twice in a row is kept once. */
export function letterId(letter: Undeliverable, message: Message, { stream }: LetterOrigin): string {
  if (letter.is !== 'change') return `dlq.${stream}.${message.sequence}`;
  const { index, id, routing, version } = letter.event;
  const hash = createHash('sha256').update(JSON.stringify([index, id, routing, version]));
  return `dlq.${stream}.${message.sequence}.${hash.digest('base64url').slice(0, 22)}`;
}

function letterSubject(letter: Undeliverable): string {
  if (letter.is === 'unreadable') return `${deadLetterPrefix}.unreadable`;
  const { tenant, index } = letter.is === 'drop' ? letter.drop : letter.event;
  return encodeSubject({ tenant, index, operation: letter.is === 'drop' ? 'drop' : letter.event.op }, deadLetterPrefix);
}

/** The keys that say what could not be delivered, as JSON text of members. */
function lastKeys(letter: Undeliverable, message: Message, reference: SourceReference | undefined): (string | Uint8Array)[] {
  if (letter.is === 'unreadable') {
    const headers = `"headers":${JSON.stringify(Object.fromEntries(message.headers))}`;
    if (reference !== undefined) return [`${headers},"payload_ref":${JSON.stringify(reference)}`];
    return [`${headers},"payload":"${Buffer.from(message.payload).toString('base64')}"`];
  }
  const envelope = letter.is === 'drop' ? encodeDrop(letter.drop) : encodeEnvelope(referring(letter.event, reference));
  return ['"envelope":', envelope.subarray(0, -1)];
}

function referring(event: ChangeEvent, reference: SourceReference | undefined): ChangeEvent {
  if (reference === undefined) return event;
  const slim: ChangeEvent = { ...event, sourceRef: reference };
  delete slim.source;
  return slim;
}

function line(head: object, last: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat([`${JSON.stringify(head).slice(0, -1)},`, ...last, '}\n'].map((part) => Buffer.from(part as string)));
}
