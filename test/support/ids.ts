import type { Random } from './random.ts';

/** Ids with every kind of character that means something to somebody: URLs, wildcards, JSON, shells, subjects, UTF-8. */
// oxfmt-ignore
const oddIds: readonly string[] = [
  'a/b', '/', '//', '/_doc/1', '../..', '.', '..', '...', '%', '%2F', '%25', '100%', '%zz', '*', '>', 'a.b.>', '?q=1', '#part', 'a&b=c',
  '"', '"quoted"', "'", '`', '\\', '\\"', 'back\\slash', '\\u0041', '\\n', ' ', ' lead', 'trail ', 'two  spaces', '\t', 'tab\tbed', 'line\nend',
  '\r', '\u0000', '\u0001', '\u007f', '\u0085', '\u00a0', '\u2028', '\u2029', '\ufeff', '\ufffd', '\u200d', '+', 'a+b', 'a b', ',', 'a,b', ';', ':',
  '@', '$', '!', '^', '|', '~', '(', ')', '[', ']', '{', '}', '{}', '[1]', '<', '<now/d>', '=', '-', '-1', '_', '_id', '_doc', '_all', '_source', '0', '00',
  '1.0', '1e3', '-0', '9007199254740993', 'null', 'true', 'undefined', 'NaN', '__proto__', 'constructor', 'toString', 'é', 'e\u0301', 'ß', 'İ', 'ﬀ',
  '日本語', 'العربية', 'עברית', '😀', '👩‍👩‍👧‍👦', '🇩🇪', '\u{10ffff}', 'A', 'a', 'ﾊﾝｶｸ', 'source":{"x":1}', '}\n{"v":1', '$JS.API', 'es.default.x.delete',
];

const idBytesMax = 512;

/** Ids of 512 bytes, the most an engine takes. */
const longIds: readonly string[] = [
  'x'.repeat(idBytesMax),
  'é'.repeat(idBytesMax / 2),
  '語'.repeat(Math.floor(idBytesMax / 3)) + 'zz',
  '😀'.repeat(idBytesMax / 4),
  '"'.repeat(idBytesMax),
  '\\'.repeat(idBytesMax),
  '\u0001'.repeat(idBytesMax),
  '/%'.repeat(idBytesMax / 2),
];

/** The ids of an index that several clients write: few enough that they meet. Odd ones are a fixed part of an odd pool. */
export function idPool(size: number, odd: boolean): string[] {
  const special = odd ? [...oddIds, ...longIds] : [];
  return [...special, ...Array.from({ length: Math.max(0, size - special.length) }, (_, i) => `${i}`)];
}

/** An id that nobody else has: for documents that live once. */
export function freshId(random: Random): string {
  return `${random.next().toString(36)}-${random.next().toString(36)}`;
}

/** As a path segment. An engine decodes a segment once; `.` and `..` must not look like steps on the way. */
export function segment(name: string): string {
  return encodeURIComponent(name).replace(/[!'()*.]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}
