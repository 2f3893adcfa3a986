import { describeError, GatewayError, isTransient } from '../core/errors.ts';
import { ChangeBlock, type Common } from '../core/change-block.ts';
import { tsNumber } from '../core/document-spans.ts';
import { readChanges } from '../core/envelope.ts';
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

/** Many changes of one index and operation on their way together: they become items where they are not all settled at once. */
export type WriteBlock = Pick<WriteItem, 'message' | 'freshAt'> & { block: ChangeBlock; bytes: number };

export type WriteLoad = WriteItem | WriteBlock;

export function isBlock(load: WriteLoad): load is WriteBlock {
  return 'block' in load;
}

/** Counted for an item beside its document: what describes it takes 1 KB, and as much again until it is collected (measured). */
const itemBytes = 2048;
/** Of a block's documents it is the rest of the envelope, and a row of the table. */
const rowBytes = 256;

/** What all changes of it have in common. */
export function commonOf(load: WriteLoad): Common {
  return isBlock(load) ? load.block.common : load.event;
}

export function bytesOf(load: WriteLoad): number {
  return isBlock(load) ? load.bytes : itemBytes + load.event.id.length + (load.event.source?.length ?? 0);
}

export function countOf(load: WriteLoad): number {
  return isBlock(load) ? load.block.length : 1;
}

export function itemsOf(load: WriteLoad): WriteItem[] {
  if (!isBlock(load)) return [load];
  const { message, freshAt } = load;
  return Array.from(load.block, (event) => ({ event, message, freshAt }));
}

/** When the newest change of it was read at the source, in ms since 1970. */
export function capturedAt(load: WriteLoad): number {
  if (!isBlock(load)) return load.event.ts;
  const { block } = load;
  return block.documents.number(block.from + block.length - 1, tsNumber);
}

/**
 * The changes in a message's payload, with the documents that were too large for it fetched from the object store; blocks of at most
 * `blockMax`. Throws what `readChanges` throws, and NATS_* (transient) when the object store cannot be asked; a document that is gone makes
 * its change unwritable, and only that.
 */
export async function openLoads(
  message: Message,
  payload: Uint8Array,
  documents: DocumentReader,
  freshAt: number,
  blockMax: number,
): Promise<WriteLoad[]> {
  const loads: WriteLoad[] = [];
  for (const changes of readChanges(payload)) {
    if (changes instanceof ChangeBlock && changes.length > 1) {
      for (let from = 0; from < changes.length; from += blockMax) {
        const block = changes.slice(from, from + blockMax);
        loads.push({ block, bytes: block.sourceBytes + block.length * rowBytes, message, freshAt });
      }
      continue;
    }
    for (const event of changes) {
      const item: WriteItem = { event, message, freshAt };
      if (event.sourceRef !== undefined) await fetchDocument(item, event.sourceRef, documents);
      loads.push(item);
    }
  }
  return loads;
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
