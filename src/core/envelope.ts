import type { ChangeEvent, DocumentOperation, SourceReference } from './event.ts';
import { documentOperations } from './event.ts';
import { GatewayError } from './errors.ts';
import { readInteger, readString, skipString, skipValue, skipWhitespace, startOfValue } from './json-bytes.ts';

/**
 * One event as one JSON object on one line, `source` last, so that a reader can split it without parsing the document
 * (docs/envelope.md). The document's bytes are copied, never printed again.
 */
export const envelopeVersion = 1;
const newline = 0x0a;
const closingBrace = 0x7d;
const idBytesMax = 512;
const operations = new Set<string>(documentOperations);

/** What all envelopes of one frame begin with. */
export function envelopePrefix(tenant: string, index: string): string {
  return `{"v":${envelopeVersion},"tenant":${JSON.stringify(tenant)},"index":${JSON.stringify(index)},"id":`;
}

/** The envelope up to its document; ends with `"source":` where a document follows and with `}\n` where none does. */
export function envelopeHead(prefix: string, event: ChangeEvent): string {
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

/**
 * Reads the envelope between `start` and `end` (the line without its end). The document is a view into `bytes`.
 * Throws ENVELOPE_FOREIGN for what is not one, ENVELOPE_NEWER for a version this program does not know.
 */
export function decodeEnvelope(bytes: Uint8Array, start: number, end: number): ChangeEvent {
  const draft: Draft = {};
  try {
    readMembers(bytes, start, end, draft);
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw foreign(error instanceof Error ? error.message : String(error));
  }
  return checked(draft);
}

function readMembers(bytes: Uint8Array, start: number, end: number, draft: Draft): void {
  if (bytes[start] !== 0x7b) throw foreign('it does not begin with {');
  let at = skipWhitespace(bytes, start + 1);
  if (bytes[at] === closingBrace) return;
  for (;;) {
    const keyEnd = skipString(bytes, at);
    const value = startOfValue(bytes, keyEnd);
    const key = Buffer.from(bytes.buffer, bytes.byteOffset + at + 1, keyEnd - at - 2).toString('latin1');
    if (key === 'source' && draft.version !== undefined && draft.id !== undefined && draft.op !== undefined) {
      // Our own writers put it last: what stands up to the closing brace is the document, and it is not walked through.
      let last = end - 1;
      while (bytes[last] === 0x20 || bytes[last] === 0x0d) last--;
      if (bytes[last] !== closingBrace) throw foreign('it does not end with }');
      draft.source = bytes.subarray(value, last);
      return;
    }
    at = readMember(bytes, key, at, value, draft);
    at = skipWhitespace(bytes, at);
    if (at >= end) throw foreign('it ends too soon');
    if (bytes[at] === closingBrace) {
      if (skipWhitespace(bytes, at + 1) < end) throw foreign('something stands after it');
      return;
    }
    if (bytes[at] !== 0x2c) throw foreign(`a comma is missing at byte ${at - start}`);
    at = skipWhitespace(bytes, at + 1);
  }
}

/** Reads one member into the draft; the offset after its value. */
function readMember(bytes: Uint8Array, key: string, keyStart: number, value: number, draft: Draft): number {
  switch (key) {
    case 'tenant':
    case 'index':
    case 'id':
    case 'op':
    case 'routing': {
      const text = readString(bytes, value);
      draft[key] = text.value;
      return text.end;
    }
    case 'v':
    case 'version':
    case 'seq_no':
    case 'primary_term':
    case 'ts': {
      const integer = readInteger(bytes, value);
      draft[key] = integer.value;
      return integer.end;
    }
    default: {
      const valueEnd = skipValue(bytes, value);
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (key === 'source') draft.source = bytes.subarray(value, valueEnd);
      else if (key === 'source_ref') draft.sourceRef = JSON.parse(text.toString('utf8', value, valueEnd)) as SourceReference;
      else draft.extra = `${draft.extra === undefined ? '' : `${draft.extra},`}${text.toString('utf8', keyStart, valueEnd)}`;
      return valueEnd;
    }
  }
}

function checked(draft: Draft): ChangeEvent {
  const { v, tenant, index, id, op, version, source, sourceRef } = draft;
  if (v === undefined) throw foreign('it has no "v"');
  if (v > envelopeVersion) {
    throw new GatewayError('ENVELOPE_NEWER', `an envelope has version ${v}; this program reads up to ${envelopeVersion}`, {
      hint: 'upgrade the reader first, then the watcher',
    });
  }
  if (!tenant) throw foreign('it has no "tenant"');
  if (!index) throw foreign('it has no "index"');
  if (!id || (id.length > idBytesMax / 4 && Buffer.byteLength(id) > idBytesMax)) throw foreign(`its "id" is not a document id`);
  if (op === undefined || !operations.has(op)) throw foreign(`its "op" is ${JSON.stringify(op)}`);
  if (version === undefined || version < 0) throw foreign('it has no "version"');
  if (op === 'delete' ? source !== undefined : source === undefined && sourceRef === undefined) {
    throw foreign(op === 'delete' ? 'a delete has a "source"' : 'it has no "source"');
  }
  return {
    tenant,
    index,
    id,
    op: op as DocumentOperation,
    version,
    seqNo: draft.seq_no ?? 0,
    primaryTerm: draft.primary_term ?? 0,
    ts: draft.ts ?? 0,
    ...(draft.routing === undefined ? {} : { routing: draft.routing }),
    ...(source === undefined ? {} : { source }),
    ...(sourceRef === undefined ? {} : { sourceRef }),
    ...(draft.extra === undefined ? {} : { extra: draft.extra }),
  };
}

/** Every envelope of an uncompressed frame, in order. Blank lines are passed over. */
export function decodeEnvelopes(bytes: Uint8Array): ChangeEvent[] {
  const events: ChangeEvent[] = [];
  for (let at = 0; at < bytes.length;) {
    let end = bytes.indexOf(newline, at);
    if (end < 0) end = bytes.length;
    const start = skipWhitespace(bytes, at);
    if (start < end) events.push(decodeEnvelope(bytes, start, end));
    at = end + 1;
  }
  return events;
}
