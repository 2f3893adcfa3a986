import type { Random } from './random.ts';

export type DocumentWish = {
  /** Line ends between the tokens: not for the lines of a bulk request. */
  pretty?: boolean;
  /** Grows the document to about so many bytes. */
  bytes?: number;
  /** Objects of the mapping's nested field. */
  nested?: boolean;
  /** Texts that an engine keeps as they are but cannot print anew (a lone surrogate): only where nothing is updated in part. */
  unprintable?: boolean;
  /** `@timestamp`, which a data stream asks for. */
  timestamp?: boolean;
};

/** How many groups the documents fall into: what a query picks is one of them. */
export const groups = 40;

// oxfmt-ignore
const numbers = [
  '0', '-0', '-0.0', '0.0', '1.0', '1e3', '1E+3', '1e-7', '-1.50', '1.10', '9007199254740991', '9007199254740993', '-9007199254740993',
  '9223372036854775807', '18446744073709551616', '123456789012345678901234567890', '0.1', '0.30000000000000004', '1.7976931348623157e308', '5e-324', '3.141592653589793238462643',
] as const;
// oxfmt-ignore
const texts = [
  '""', '" "', '"plain"', '"\\u00e9 and \\u00E9"', '"\\/ and /"', '"\\"quoted\\""', '"back\\\\slash"', '"\\\\\\""', '"line\\nend\\ttab\\r\\b\\f"', '"\\u0000\\u001f"',
  '"\\ud83d\\ude00"', '"😀 raw"', '"é raw, e\u0301 combined"', '"\u2028\u2029"', '"\\u2028"', '"{\\"source\\":{}}"', '"}]},"', '"\\\\u0041"', '"日本語"', '"\\u003c/script\\u003e"', '"\u007f\u0085\ufeff"',
] as const;
const words = ['true', 'false', 'null'] as const;
const unprintable = ['"\\ud800"', '"\\udc00 and \\ud83d"', '"a\\udfffb"'] as const;
// oxfmt-ignore
const keys = ['source', 'hits', 'total', 'name', 'value', 'a b', 'é', '"', '\\', '/', 'x/y', '__proto__', 'constructor', 'version', 'seq_no', '😀', 'A', '0', 'sort', 'id'] as const;
const innerKeys = [...keys, 'op', '_source', '_id', '_index', '_routing', '_seq_no', '_hits'] as const;

/** A document's JSON text, made by hand: what a parser and printer would change is the point of it. */
export function documentText(random: Random, wish: DocumentWish = {}): string {
  if (wish.bytes === undefined && wish.timestamp !== true && random.chance(0.01)) return random.pick(['{}', '{ }', '{\t}']);
  const space = new Spacing(random, wish.pretty === true);
  const parts = [
    `${space.any()}"group"${space.any()}:${space.any()}"g${random.between(0, groups - 1)}"`,
    `"n":${random.between(0, 1_000_000)}`,
  ];
  if (wish.timestamp === true) parts.push(`"@timestamp":"2026-01-0${random.between(1, 9)}T00:00:00.000Z"`);
  if (wish.nested === true)
    parts.push(`"items":[${Array.from({ length: random.between(0, 4) }, (_, i) => `{"k":"i${i}","n":${i}}`).join(',')}]`);
  const used = new Set<string>();
  for (let i = random.between(0, 5); i > 0; i--) {
    const key = random.pick(keys);
    if (used.has(key)) continue;
    used.add(key);
    parts.push(`${space.any()}${JSON.stringify(key)}${space.any()}:${space.any()}${value(random, space, wish, 3)}${space.any()}`);
  }
  if (wish.bytes !== undefined) parts.push(`"filling":"${filling(random, wish.bytes)}"`);
  return `{${parts.join(',')}}`;
}

/** White space where JSON allows it, of every kind that the wish allows. */
class Spacing {
  readonly #random: Random;
  readonly #pretty: boolean;
  constructor(random: Random, pretty: boolean) {
    this.#random = random;
    this.#pretty = pretty;
  }
  any(): string {
    if (this.#pretty) return this.#random.pick(['\n', '\r\n', '\n  ', ' ', '\n\t', '']);
    return this.#random.chance(0.1) ? this.#random.pick([' ', '\t', '  ']) : '';
  }
}

function value(random: Random, space: Spacing, wish: DocumentWish, depth: number): string {
  const kinds = {
    number: 5,
    text: 5,
    word: 2,
    object: depth > 0 ? 2 : 0,
    array: depth > 0 ? 2 : 0,
    surrogate: wish.unprintable === true ? 2 : 0,
  };
  const kind = random.weighted(kinds);
  if (kind === 'array') {
    const elements = Array.from({ length: random.between(0, 4) }, () => value(random, space, wish, depth - 1));
    return `[${space.any()}${elements.join(`${space.any()},${space.any()}`)}]`;
  }
  if (kind === 'object') {
    const names = new Set(Array.from({ length: random.between(0, 3) }, () => random.pick(innerKeys)));
    const inner = Array.from(names, (name) => `${space.any()}${JSON.stringify(name)}:${value(random, space, wish, depth - 1)}`);
    return `{${inner.join(',')}${space.any()}}`;
  }
  return random.pick({ number: numbers, text: texts, word: words, surrogate: unprintable }[kind]);
}

/** Text of about so many bytes that does not compress away. */
function filling(random: Random, bytes: number): string {
  const parts: string[] = [];
  for (let left = bytes; left > 0; left -= 32)
    parts.push(`${random.next().toString(36)} \\"\\\\ é ${random.next().toString(36)} `);
  return parts.join('');
}
