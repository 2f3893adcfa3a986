import type { DocumentOperation } from './event.ts';
import { GatewayError } from './errors.ts';

/**
 * `es.{tenant}.{index}.{operation}`. A token may not hold what NATS gives a meaning to (`.`, `*`, `>`, white space, control characters),
 * so those bytes, and `%`, are percent-encoded.
 */
const unsafe = /[.*>%\s\p{Cc}]/gu;
const operations = new Set<string>(['index', 'update', 'delete', 'drop']);

/** What a subject can say: an operation on documents, or `drop`, the end of a whole index. */
export type SubjectOperation = DocumentOperation | 'drop';

export type ChangeSubject = { tenant: string; index: string; operation: SubjectOperation };

export function encodeToken(name: string): string {
  if (name === '')
    throw new GatewayError('SUBJECT_EMPTY', 'a subject token cannot be empty', { hint: 'name the tenant and the index' });
  return name.replace(unsafe, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

export function decodeToken(token: string): string {
  if (!token.includes('%')) return token;
  try {
    return decodeURIComponent(token);
  } catch {
    throw new GatewayError('SUBJECT_ENCODING', `the subject token ${JSON.stringify(token)} is not percent-encoded UTF-8`);
  }
}

export function encodeSubject(subject: ChangeSubject, prefix = 'es'): string {
  return `${prefix}.${encodeToken(subject.tenant)}.${encodeToken(subject.index)}.${subject.operation}`;
}

/** Throws SUBJECT_FOREIGN for a subject that is not of the product's form. */
export function decodeSubject(subject: string, prefix = 'es'): ChangeSubject {
  const head = `${prefix}.`;
  const [tenant, index, operation, ...rest] = subject.startsWith(head) ? subject.slice(head.length).split('.') : [];
  if (!tenant || !index || !operation || rest.length > 0 || !operations.has(operation)) {
    throw new GatewayError(
      'SUBJECT_FOREIGN',
      `the subject ${JSON.stringify(subject)} is not ${prefix}.{tenant}.{index}.{operation}`,
      {
        hint: 'keep other publishers off the change stream, or narrow --filter-subjects',
      },
    );
  }
  return { tenant: decodeToken(tenant), index: decodeToken(index), operation: operation as SubjectOperation };
}

/** NATS matching: `*` is one token, `>` at the end is one or more. */
export function subjectMatches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const given = subject.split('.');
  for (const [at, token] of wanted.entries()) {
    if (token === '>') return given.length > at;
    if (given[at] === undefined || (token !== '*' && token !== given[at])) return false;
  }
  return wanted.length === given.length;
}

/** True when the NATS pattern (`*` one token, `>` the rest) takes in every subject that `subject`, itself perhaps a pattern, stands for. */
export function covers(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const given = subject.split('.');
  for (let at = 0; at < wanted.length; at++) {
    const token = wanted[at];
    const other = given[at];
    if (token === '>') return at < given.length;
    if (other === undefined || other === '>') return false;
    if (token !== '*' && token !== other) return false;
  }
  return wanted.length === given.length;
}

/** True when some subject matches both patterns. */
export function overlaps(left: string, right: string): boolean {
  const a = left.split('.');
  const b = right.split('.');
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at++) {
    const one = a[at];
    const two = b[at];
    if (one === '>' || two === '>') return true;
    if (one !== '*' && two !== '*' && one !== two) return false;
  }
  return a.length === b.length;
}
