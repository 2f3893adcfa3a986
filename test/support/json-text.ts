/**
 * Finds values in JSON without reading them, so that their text can be compared. Written for plainness and apart from the product's
 * own scanner, which it judges. Works on a string of one character a byte (latin1): all of JSON's own signs are single bytes.
 */
export type Span = { start: number; end: number };
export type Member = Span & { key: string };

/** The offset of the first character at or after `at` that is no white space. */
function afterSpace(text: string, at: number): number {
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++;
  return at;
}

/** The offset after the value that begins at `at`. */
function endOfValue(text: string, at: number): number {
  if (text[at] === '"') return endOfString(text, at);
  if (text[at] !== '{' && text[at] !== '[') return endOfScalar(text, at);
  let depth = 0;
  while (at < text.length) {
    const sign = text[at];
    if (sign === '"') {
      at = endOfString(text, at);
      continue;
    }
    if (sign === '{' || sign === '[') depth++;
    if (sign === '}' || sign === ']') depth--;
    at++;
    if (depth === 0) return at;
  }
  throw new Error('the JSON text ends within a value');
}

function endOfString(text: string, at: number): number {
  at++;
  while (at < text.length) {
    if (text[at] === '"') return at + 1;
    at += text[at] === '\\' ? 2 : 1;
  }
  throw new Error('the JSON text ends within a string');
}

function endOfScalar(text: string, at: number): number {
  const start = at;
  while (at < text.length && !',]} \n\r\t'.includes(text[at]!)) at++;
  if (at === start) throw new Error(`no JSON value at ${at}`);
  return at;
}

/** The members of the object that begins at `at`, in order. */
export function* members(text: string, at: number): Generator<Member> {
  if (text[at] !== '{') throw new Error(`no JSON object at ${at}`);
  at = afterSpace(text, at + 1);
  while (text[at] !== '}') {
    const keyEnd = endOfString(text, at);
    const key = stringAt(text, { start: at, end: keyEnd });
    at = afterSpace(text, keyEnd);
    if (text[at] !== ':') throw new Error(`a colon is missing at ${at}`);
    const start = afterSpace(text, at + 1);
    const end = endOfValue(text, start);
    yield { key, start, end };
    at = afterSpace(text, end);
    if (text[at] === ',') at = afterSpace(text, at + 1);
    else if (text[at] !== '}') throw new Error(`a comma is missing at ${at}`);
  }
}

/** The elements of the array that begins at `at`, in order. */
export function* elements(text: string, at: number): Generator<Span> {
  if (text[at] !== '[') throw new Error(`no JSON array at ${at}`);
  at = afterSpace(text, at + 1);
  while (text[at] !== ']') {
    const end = endOfValue(text, at);
    yield { start: at, end };
    at = afterSpace(text, end);
    if (text[at] === ',') at = afterSpace(text, at + 1);
    else if (text[at] !== ']') throw new Error(`a comma is missing at ${at}`);
  }
}

/** The first member of that name; throws where there is none. */
export function member(text: string, at: number, key: string): Member {
  for (const one of members(text, at)) if (one.key === key) return one;
  throw new Error(`the JSON object has no ${JSON.stringify(key)}`);
}

export function bytesAt(text: string, span: Span): Buffer {
  return Buffer.from(text.slice(span.start, span.end), 'latin1');
}

/** The string that the span is the JSON text of. */
export function stringAt(text: string, span: Span): string {
  return JSON.parse(bytesAt(text, span).toString('utf8')) as string;
}

/** Any other value: parsed. */
export function valueAt(text: string, span: Span): unknown {
  return JSON.parse(bytesAt(text, span).toString('utf8'));
}
