import {
  DocumentSpans,
  idSpan,
  numbersEach,
  primaryTermNumber,
  routingSpan,
  seqNoNumber,
  sourceSpan,
  spansEach,
  versionNumber,
} from '../core/document-spans.ts';
import {
  integerBetween,
  scanArray,
  scanObject,
  skipString,
  skipValue,
  skipWhitespace,
  spells,
  startOfValue,
} from '../core/json-bytes.ts';
import { answerInvalid } from './errors.ts';

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
/** What the server says of a document beside it takes that at least, with the default settings of a search by sequence number. */
const hitBytesMin = 100;

/** `failures` is the server's JSON, empty without any. */
export type ShardsFact = { total: number; successful: number; skipped: number; failed: number; failures: string };

/** The documents as the server stores them, each on one line; a number that the server left out is −1. */
export type SearchAnswer = { took: number; timedOut: boolean; shards: ShardsFact; hits: DocumentSpans };

/** One document of a search answer. */
export type Hit = {
  id: string;
  routing: string | undefined;
  version: number;
  seqNo: number;
  primaryTerm: number;
  /** A view of the answer. Absent where none is stored. */
  source: Buffer | undefined;
};

/** The documents of an answer as objects, for whoever has time for that. */
export function hitsOf({ hits }: Pick<SearchAnswer, 'hits'>): Hit[] {
  return Array.from({ length: hits.length }, (_, row) => ({
    id: hits.id(row),
    routing: hits.routing(row),
    version: hits.number(row, versionNumber),
    seqNo: hits.number(row, seqNoNumber),
    primaryTerm: hits.number(row, primaryTermNumber),
    source: hits.source(row),
  }));
}

type Reading = {
  body: Buffer;
  answer: SearchAnswer;
  layout: Member[];
  hasLineEnds: boolean;
  sawShards: boolean;
  sawHits: boolean;
};

/**
 * Slices the documents out of a `_search` answer without parsing them, so that they stay as they are: numbers beyond 2^53, `1.0`, order
 * and repetition of keys. Keys may stand in any order and unknown ones are passed over. Line ends inside a document, which JSON allows as
 * white space only, become spaces in place. `documentsMax` is what was asked for. Throws ES_ANSWER_INVALID (transient) for an answer that is cut off or not one.
 */
export function scanSearchAnswer(body: Buffer, documentsMax = Infinity): SearchAnswer {
  const shards: ShardsFact = { total: 0, successful: 0, skipped: 0, failed: 0, failures: '' };
  const hits = new DocumentSpans(body, Math.min(documentsMax, Math.ceil(body.length / hitBytesMin)));
  const answer: SearchAnswer = { took: 0, timedOut: false, shards, hits };
  const hasLineEnds = body.includes(lineFeed) || body.includes(carriageReturn);
  const reading: Reading = { body, answer, layout: [], hasLineEnds, sawShards: false, sawHits: false };
  try {
    const end = skipWhitespace(body, scanObject(body, skipWhitespace(body, 0), reading, visitAnswer));
    if (end !== body.length) throw new SyntaxError(`something stands after it, at byte ${end}`);
    if (!reading.sawShards || !reading.sawHits) throw new SyntaxError('it says nothing about shards or hits');
  } catch (error) {
    throw answerInvalid('the answer to a search', error);
  }
  return answer;
}

function visitAnswer(bytes: Uint8Array, key: number, keyEnd: number, value: number, reading: Reading): number {
  if (spells(bytes, key, keyEnd, 'hits')) {
    reading.sawHits = true;
    return scanObject(bytes, value, reading, visitHits);
  }
  const end = skipValue(bytes, value);
  const { answer, body } = reading;
  if (spells(bytes, key, keyEnd, 'took')) answer.took = integerBetween(bytes, value, end);
  else if (spells(bytes, key, keyEnd, 'timed_out')) answer.timedOut = spells(bytes, value, end, 'true');
  else if (spells(bytes, key, keyEnd, '_shards')) {
    answer.shards = shardsFact(JSON.parse(body.toString('utf8', value, end)));
    reading.sawShards = true;
  }
  return end;
}

/** Reads a `_shards` object. One with numbers missing counts as failed: nothing may be concluded from such an answer. */
export function shardsFact(parsed: unknown): ShardsFact {
  const { total, successful, skipped, failed, failures } = (parsed ?? {}) as Record<string, unknown>;
  return {
    total: count(total, 0),
    successful: count(successful, 0),
    skipped: count(skipped, 0),
    failed: count(failed, 1),
    failures: failures === undefined ? '' : JSON.stringify(failures),
  };
}

function count(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}

function visitHits(bytes: Uint8Array, key: number, keyEnd: number, value: number, reading: Reading): number {
  return spells(bytes, key, keyEnd, 'hits') ? scanArray(bytes, value, reading, takeHit) : skipValue(bytes, value);
}

/**
 * A member's key as it was written, from its quote to the start of the value, and its name if it is one we read. Plain numbers: comparing
 * them takes half the time of comparing bytes.
 */
type Member = { written: readonly number[]; name: string };

/**
 * The one hot loop: once a document. The hits of an answer look alike, so each key is compared with that in the same place of the hits
 * before, and looked into only where it differs.
 */
function takeHit(_bytes: Uint8Array, start: number, reading: Reading): number {
  const { body, layout } = reading;
  if (body[start] !== 0x7b) throw new SyntaxError(`a hit is not an object, at byte ${start}`);
  const { hits } = reading.answer;
  const row = hits.add();
  hits.numbers.fill(-1, row * numbersEach, (row + 1) * numbersEach);
  let at = skipWhitespace(body, start + 1);
  for (let place = 0; body[at] !== 0x7d; place++) {
    let member = layout[place];
    if (member === undefined || !isWritten(body, at, member.written)) {
      member = readMember(body, at);
      if (place < membersRemembered) layout[place] = member;
    }
    const value = skipWhitespace(body, at + member.written.length);
    const end = skipValue(body, value);
    if (member.name !== '') take(reading, row, member.name, value, end);
    at = skipWhitespace(body, end);
    if (body[at] === 0x2c) at = skipWhitespace(body, at + 1);
    else if (body[at] !== 0x7d) throw new SyntaxError(`a hit is broken off, at byte ${at}`);
  }
  return at + 1;
}
const membersRemembered = 16;

function isWritten(body: Buffer, at: number, written: readonly number[]): boolean {
  if (at + written.length > body.length) return false;
  for (let i = 0; i < written.length; i++) if (body[at + i] !== written[i]) return false;
  return true;
}

const namesRead = ['_id', '_seq_no', '_source', '_version', '_routing', '_primary_term'];

function readMember(body: Buffer, at: number): Member {
  const keyEnd = skipString(body, at);
  const name = namesRead.find((text) => spells(body, at + 1, keyEnd - 1, text)) ?? '';
  return { written: [...body.subarray(at, startOfValue(body, keyEnd))], name };
}

function take(reading: Reading, row: number, name: string, value: number, end: number): void {
  const { body, answer } = reading;
  const { spans, numbers } = answer.hits;
  const span = row * spansEach;
  const number = row * numbersEach;
  switch (name) {
    case '_id':
      requireText(body, value);
      spans[span + idSpan] = value;
      spans[span + idSpan + 1] = end;
      break;
    case '_version':
      numbers[number + versionNumber] = integerBetween(body, value, end);
      break;
    case '_seq_no':
      numbers[number + seqNoNumber] = integerBetween(body, value, end);
      break;
    case '_primary_term':
      numbers[number + primaryTermNumber] = integerBetween(body, value, end);
      break;
    case '_routing':
      requireText(body, value);
      spans[span + routingSpan] = value;
      spans[span + routingSpan + 1] = end;
      break;
    case '_source':
      spans[span + sourceSpan] = value;
      spans[span + sourceSpan + 1] = end;
      if (reading.hasLineEnds) putOnOneLine(body, value, end);
      break;
    default:
  }
}

/** JSON allows a raw line end between tokens only, where a space is as good. */
function putOnOneLine(body: Buffer, start: number, end: number): void {
  for (let at = start; at < end; at++) if (body[at] === lineFeed || body[at] === carriageReturn) body[at] = 0x20;
}

function requireText(body: Buffer, value: number): void {
  if (body[value] !== 0x22) throw new SyntaxError(`a text is expected at byte ${value}`);
}
