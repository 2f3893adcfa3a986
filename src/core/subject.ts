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
