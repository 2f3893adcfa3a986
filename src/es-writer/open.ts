import { describeError, GatewayError, isTransient } from '../core/errors.ts';
import { decodeEnvelopes } from '../core/envelope.ts';
import type { ChangeEvent, SourceReference } from '../core/event.ts';
import type { Message, Refusal } from '../core/strategy.ts';
import type { DocumentReader } from '../jetstream/index.ts';

/** One change on its way to the target. */
export type WriteItem = {
  event: ChangeEvent;
  /** The message it came in. */
  message: Message;
  /** In ms since 1970: no later delete of the document had reached a target by then, or the stream was looked through for one (late.ts). */
  freshAt: number;
  /** Why it cannot be written at all. */
  refusal?: Refusal;
};

/** Counted for an item beside its document: what describes it takes 1 KB, and as much again until it is collected (measured). */
const itemBytes = 2048;

export function bytesOf({ event }: WriteItem): number {
  return itemBytes + event.id.length + (event.source?.length ?? 0);
}

/**
 * The changes in a message's payload, with the documents that were too large for it fetched from the object store. Throws what
 * `decodeEnvelopes` throws, and NATS_* (transient) when the object store cannot be asked; a document that is gone makes its change
 * unwritable, and only that.
 */
export async function openItems(
  message: Message,
  payload: Uint8Array,
  documents: DocumentReader,
  freshAt: number,
): Promise<WriteItem[]> {
  const items: WriteItem[] = [];
  for (const event of decodeEnvelopes(payload)) {
    const item: WriteItem = { event, message, freshAt };
    if (event.sourceRef !== undefined) await fetchDocument(item, event.sourceRef, documents);
    items.push(item);
  }
  return items;
}

async function fetchDocument(item: WriteItem, reference: SourceReference, documents: DocumentReader): Promise<void> {
  try {
    const event: ChangeEvent = { ...item.event, source: await documents.get(reference) };
    delete event.sourceRef;
    item.event = event;
  } catch (error) {
    if (isTransient(error)) throw error;
    const type = error instanceof GatewayError ? error.code : 'DOCUMENT_UNREADABLE';
    item.refusal = { status: 0, type, reason: describeError(error) };
  }
}
