import { z } from 'zod';
import { valuesAt } from '../core/field.ts';
import { GatewayError } from '../core/errors.ts';

const parts: Record<string, (date: Date) => string> = {
  yyyy: (date) => String(date.getUTCFullYear()).padStart(4, '0'),
  MM: (date) => String(date.getUTCMonth() + 1).padStart(2, '0'),
  dd: (date) => String(date.getUTCDate()).padStart(2, '0'),
  HH: (date) => String(date.getUTCHours()).padStart(2, '0'),
};
const part = /yyyy|MM|dd|HH/g;

/** `yyyy`, `MM`, `dd` and `HH` between signs that an index name may have. */
export const dateFormat = z
  .string()
  .regex(/^(?=.*yyyy)(?:yyyy|MM|dd|HH|[-._])+$/, 'takes yyyy, MM, dd, HH with - . _ between them');

function unknown(why: string): GatewayError {
  return new GatewayError('TRANSFORM_IMPOSSIBLE', `the date of the index name is not known: ${why}`, {
    hint: 'a date in an index name suits documents that are written once and never deleted',
  });
}

/**
 * The date in a document's field (ISO 8601 or ms since 1970, the first one where there are several), in UTC. Not the time of capture: an
 * update would then go to another index than the document. Throws TRANSFORM_IMPOSSIBLE, also for a delete, which has no document.
 */
export function dateIn(document: unknown, field: string, format: string): string {
  if (document === undefined) throw unknown(`a delete has no ${field}`);
  const [value] = valuesAt(document, field);
  const date = typeof value === 'string' ? new Date(withZone(value)) : typeof value === 'number' ? new Date(value) : undefined;
  if (date === undefined || Number.isNaN(date.getTime())) throw unknown(`${field} holds no date`);
  return format.replace(part, (name) => parts[name]!(date));
}

/** A time without a zone is UTC, as Elasticsearch takes it, and not that of this machine. */
function withZone(text: string): string {
  return /[T ]\d\d/.test(text) && !/(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? `${text}Z` : text;
}
