import { describeError, GatewayError, isTransient } from '../core/errors.ts';
import type { ChangeEvent } from '../core/event.ts';
import { openFrame } from '../core/frame.ts';
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

/** Counted for an item beside its document: measured, with the objects that describe it and its place in the queues. */
const itemBytes = 1024;

export function bytesOf({ event }: WriteItem): number {
  return itemBytes + event.id.length + (event.source?.length ?? 0);
}

/**
 * The changes of a message, with the documents that were too large for it fetched from the object store. Throws what `openFrame` throws,
 * and NATS_* (transient) when the object store cannot be asked; a document that is gone makes its change unwritable, and only that.
 */
export async function openItems(message: Message, documents: DocumentReader, freshAt: number): Promise<WriteItem[]> {
  const items: WriteItem[] = [];
  for (const event of await openFrame(message)) items.push({ message, freshAt, ...(await withDocument(event, documents)) });
  return items;
}

async function withDocument(event: ChangeEvent, documents: DocumentReader): Promise<{ event: ChangeEvent; refusal?: Refusal }> {
  const { sourceRef, ...rest } = event;
  if (sourceRef === undefined) return { event };
  try {
    return { event: { ...rest, source: await documents.get(sourceRef) } };
  } catch (error) {
    if (isTransient(error)) throw error;
    const type = error instanceof GatewayError ? error.code : 'DOCUMENT_UNREADABLE';
    return { event, refusal: { status: 0, type, reason: describeError(error) } };
  }
}
