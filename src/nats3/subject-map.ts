import { UsageError } from '../core/errors.ts';

/** Distinct subjects whose result is remembered. */
const rememberedMax = 10_000;

/**
 * Where a message goes, by the subject that it had: `write` may hold `{{wildcard(N)}}` or `$N`, the token that the Nth `*` of `read` stands for,
 * and end with `>` as `read` does. As subject mappings of NATS. Throws SUBJECT_MAPPING.
 */
export function subjectMap(read: string, write: string | undefined): (subject: string) => string {
  if (write === undefined) return (subject) => subject;
  const pattern = read.split('.');
  const wildcards = pattern.flatMap((token, at) => (token === '*' ? [at] : []));
  const pieces = write.split('.').map((token, at, all) => piece(token, at === all.length - 1, wildcards, pattern.at(-1) === '>'));
  if (pieces.every((each) => 'text' in each)) return () => write;
  const known = new Map<string, string>();
  return (subject) => {
    const found = known.get(subject);
    if (found !== undefined) return found;
    const tokens = subject.split('.');
    const mapped = pieces
      .map((each) =>
        'text' in each ? each.text : 'from' in each ? tokens.slice(pattern.length - 1).join('.') : tokens[each.at]!,
      )
      .join('.');
    if (known.size >= rememberedMax) known.clear();
    known.set(subject, mapped);
    return mapped;
  };
}

/** The subjects that a mapping can lead to, as a pattern. */
export function mappedPattern(read: string, write: string | undefined): string {
  if (write === undefined) return read;
  return write.replace(/\{\{\s*wildcard\(\s*\d+\s*\)\s*\}\}|\$\d+/gi, '*');
}

type Piece = { text: string } | { at: number } | { from: 'rest' };

function piece(token: string, isLast: boolean, wildcards: readonly number[], restIsOpen: boolean): Piece {
  const number = /^(?:\{\{\s*wildcard\(\s*(\d+)\s*\)\s*\}\}|\$(\d+))$/i.exec(token);
  if (number !== null) {
    const at = wildcards[Number(number[1] ?? number[2]) - 1];
    if (at !== undefined) return { at };
    throw wrong(`${token} stands for no * of the read subject, which has ${wildcards.length}`);
  }
  if (token === '>' && isLast && restIsOpen) return { from: 'rest' };
  if (token === '>' || token === '*')
    throw wrong(`${token} in the write subject: name a token with {{wildcard(N)}}, or end both with >`);
  if (token === '' || /[\s\0{}]/.test(token)) throw wrong(`${JSON.stringify(token)} cannot be a token of a subject`);
  return { text: token };
}

function wrong(what: string): UsageError {
  return new UsageError('SUBJECT_MAPPING', what, 'such as --read-subject orders.*.new --write-subject "replay.{{wildcard(1)}}"');
}
