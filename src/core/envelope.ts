import { ChangeBlock, type ChangeList } from './change-block.ts';
import type { ChangeEvent, DocumentOperation, SourceReference } from './event.ts';
import { documentOperations } from './event.ts';
import { EnvelopeForm } from './envelope-form.ts';
import { envelopePrefix, envelopeVersion } from './envelope-text.ts';
import { GatewayError } from './errors.ts';
import {
  readInteger,
  readString,
  skipString,
  skipValue,
  skipWhitespace,
  spells,
  startOfValue,
  stringBetween,
} from './json-bytes.ts';

/**
 * One event as one JSON object on one line, `source` last, so that a reader can split it without parsing the document
 * (docs/envelope.md). The document's bytes are copied, never printed again.
 */
const newline = 0x0a;
const closingBrace = 0x7d;
const idBytesMax = 512;
const operations = new Set<string>(documentOperations);

/** The envelope up to its document; ends with `"source":` where a document follows and with `}\n` where none does. */
function envelopeHead(prefix: string, event: ChangeEvent): string {
  let head = `${prefix}${JSON.stringify(event.id)},"op":"${event.op}","version":${event.version},"seq_no":${event.seqNo},"primary_term":${event.primaryTerm},"ts":${event.ts}`;
  if (event.routing !== undefined) head += `,"routing":${JSON.stringify(event.routing)}`;
  if (event.extra !== undefined) head += `,${event.extra}`;
  if (event.sourceRef !== undefined) return `${head},"source_ref":${JSON.stringify(event.sourceRef)}}\n`;
  return event.source === undefined ? `${head}}\n` : `${head},"source":`;
}

/** One envelope as bytes, line end included. */
export function encodeEnvelope(event: ChangeEvent): Buffer {
  const head = Buffer.from(envelopeHead(envelopePrefix(event.tenant, event.index), event));
  return event.source === undefined ? head : Buffer.concat([head, event.source, Buffer.from('}\n')]);
}

function foreign(reason: string): GatewayError {
  return new GatewayError('ENVELOPE_FOREIGN', `a line of the message is not an envelope: ${reason}`, {
    hint: 'keep other publishers off the change stream, or narrow --filter-subjects',
  });
}

type Draft = Partial<Record<'tenant' | 'index' | 'id' | 'op' | 'routing', string>> &
  Partial<Record<'v' | 'version' | 'seq_no' | 'primary_term' | 'ts', number>> & {
    source?: Uint8Array;
    sourceRef?: SourceReference;
    extra?: string;
  };

/** Those of one frame have the same text in every envelope. */
const sharedKeys = ['tenant', 'index', 'op'] as const;
const textKeys = ['id', 'routing'] as const;
const integerKeys = ['v', 'version', 'seq_no', 'primary_term', 'ts'] as const;

/**
 * Reads the envelope between `start` and `end` (the line without its end). The document is a view into `bytes`; texts that `before`, another
 * envelope of the frame, has too are shared with it.
 * Throws ENVELOPE_FOREIGN for what is not one, ENVELOPE_NEWER for a version this program does not know.
 */
export function decodeEnvelope(bytes: Buffer, start: number, end: number, before?: ChangeEvent): ChangeEvent {
  const draft: Draft = {};
  try {
    readMembers(bytes, start, end, draft, before);
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw foreign(error instanceof Error ? error.message : String(error));
  }
  return checked(draft);
}

function readMembers(bytes: Buffer, start: number, end: number, draft: Draft, before: ChangeEvent | undefined): void {
  if (bytes[start] !== 0x7b) throw foreign('it does not begin with {');
  let at = skipWhitespace(bytes, start + 1);
  for (let first = true; bytes[at] !== closingBrace; first = false) {
    if (!first) {
      if (bytes[at] !== 0x2c) throw foreign(`a comma is missing at byte ${at - start}`);
      at = skipWhitespace(bytes, at + 1);
    }
    at = skipWhitespace(bytes, readMember(bytes, at, draft, before));
    if (at >= end) throw foreign('it ends too soon');
  }
  if (skipWhitespace(bytes, at + 1) < end) throw foreign('something stands after it');
}

/** Reads the member whose key begins at `at` into the draft; the offset after its value. */
function readMember(bytes: Buffer, at: number, draft: Draft, before: ChangeEvent | undefined): number {
  const keyEnd = skipString(bytes, at);
  const value = startOfValue(bytes, keyEnd);
  for (const key of sharedKeys) {
    if (!spells(bytes, at + 1, keyEnd - 1, key)) continue;
    const textEnd = skipString(bytes, value);
    const known = before?.[key];
    draft[key] =
      known !== undefined && spells(bytes, value + 1, textEnd - 1, known) ? known : stringBetween(bytes, value, textEnd);
    return textEnd;
  }
  for (const key of textKeys) {
    if (!spells(bytes, at + 1, keyEnd - 1, key)) continue;
    const text = readString(bytes, value);
    draft[key] = text.value;
    return text.end;
  }
  for (const key of integerKeys) {
    if (!spells(bytes, at + 1, keyEnd - 1, key)) continue;
    const integer = readInteger(bytes, value);
    // Asked at once: a later version may give the other keys another form.
    if (key === 'v' && integer.value > envelopeVersion) throw newer(integer.value);
    draft[key] = integer.value;
    return integer.end;
  }
  // The document is walked through, although our own writers put it last: whoever does not must not have its other keys taken for a part of it.
  const valueEnd = skipValue(bytes, value);
  if (spells(bytes, at + 1, keyEnd - 1, 'source')) draft.source = bytes.subarray(value, valueEnd);
  else if (spells(bytes, at + 1, keyEnd - 1, 'source_ref'))
    draft.sourceRef = sourceReference(bytes.toString('utf8', value, valueEnd));
  else draft.extra = `${draft.extra === undefined ? '' : `${draft.extra},`}${bytes.toString('utf8', at, valueEnd)}`;
  return valueEnd;
}

function newer(version: number): GatewayError {
  return new GatewayError('ENVELOPE_NEWER', `an envelope has version ${version}; this program reads up to ${envelopeVersion}`, {
    hint: 'upgrade the reader first, then the watcher',
  });
}

function sourceReference(text: string): SourceReference {
  const value = JSON.parse(text) as Partial<SourceReference> | null;
  const { bucket, name, bytes } = value ?? {};
  if (typeof bucket !== 'string' || typeof name !== 'string' || !Number.isSafeInteger(bytes)) {
    throw foreign('its "source_ref" does not name a bucket, a name and a length');
  }
  return { bucket, name, bytes: bytes! };
}

function checked(draft: Draft): ChangeEvent {
  const { v, tenant, index, id, op, version, source, sourceRef } = draft;
  if (v === undefined || v < 1) throw foreign('it has no "v"');
  if (!tenant) throw foreign('it has no "tenant"');
  if (!index) throw foreign('it has no "index"');
  if (!id || (id.length > idBytesMax / 4 && Buffer.byteLength(id) > idBytesMax)) throw foreign(`its "id" is not a document id`);
  if (op === undefined || !operations.has(op)) throw foreign(`its "op" is ${JSON.stringify(op)}`);
  if (version === undefined || version < 0) throw foreign('it has no "version"');
  const documents = Number(source !== undefined) + Number(sourceRef !== undefined);
  if (op === 'delete' && documents > 0) throw foreign('a delete has a "source"');
  if (op !== 'delete' && documents !== 1) throw foreign('it has no "source", or two');
  if (source !== undefined && source[0] !== 0x7b) throw foreign('its "source" is not an object');
  const { seq_no = 0, primary_term = 0, ts = 0, routing, extra } = draft;
  const event: ChangeEvent = {
    tenant,
    index,
    id,
    op: op as DocumentOperation,
    version,
    seqNo: seq_no,
    primaryTerm: primary_term,
    ts,
  };
  if (routing !== undefined) event.routing = routing;
  if (source !== undefined) event.source = source;
  if (sourceRef !== undefined) event.sourceRef = sourceRef;
  if (extra !== undefined) event.extra = extra;
  return event;
}

/** The first envelope of a frame may be longer than the others. */
const lengthsDiffer = 1.25;

/** Every change of an uncompressed frame, in order: as blocks where the envelopes are of our own form. Blank lines are passed over. */
export function readChanges(payload: Uint8Array): ChangeList[] {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const changes: ChangeList[] = [];
  let form: EnvelopeForm | undefined;
  let before: ChangeEvent | undefined;
  let blockFrom = 0;
  const endBlock = (): void => {
    if (form === undefined || form.documents.length === blockFrom) return;
    changes.push(new ChangeBlock(form.common, form.documents, blockFrom));
    blockFrom = form.documents.length;
  };
  for (let at = skipWhitespace(bytes, 0); at < bytes.length;) {
    let end = bytes.indexOf(newline, at);
    if (end < 0) end = bytes.length;
    if (form?.read(at, end) !== true) {
      const event = decodeEnvelope(bytes, at, end, before);
      const isFirst = form === undefined;
      form ??= new EnvelopeForm(event, bytes, Math.ceil(((bytes.length - at) / (end - at)) * lengthsDiffer));
      if (!isFirst || !form.read(at, end)) {
        endBlock();
        changes.push([event]);
      }
      before = event;
    }
    at = skipWhitespace(bytes, end);
  }
  endBlock();
  return changes;
}

/** As `readChanges`, each as an event. */
export function decodeEnvelopes(payload: Uint8Array): ChangeEvent[] {
  return readChanges(payload).flatMap((changes) => [...changes]);
}
