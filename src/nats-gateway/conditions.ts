import { z } from 'zod';
import type { FieldCondition } from '../core/field.ts';

type Scalar = string | number | bigint | boolean | null;

/**
 * Values in rules are text, as all scalars of the settings file. One means every value that is written like it: `5` is the number and the
 * string, as it is for a search of Elasticsearch.
 */
function meanings(text: string): Scalar[] {
  const number = numberOf(text);
  if (number !== undefined) return [text, number];
  if (text === 'true' || text === 'false') return [text, text === 'true'];
  return text === 'null' ? [text, null] : [text];
}

function numberOf(text: string): number | bigint | undefined {
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)) return undefined;
  const number = Number(text);
  return /^-?\d+$/.test(text) && !Number.isSafeInteger(number) ? BigInt(text) : number;
}

type Bounds = { gt?: string | undefined; gte?: string | undefined; lt?: string | undefined; lte?: string | undefined };

/** Numbers are compared with bounds that are numbers, strings with the text of the bounds. */
function rangeOf(field: string, bounds: Bounds): FieldCondition {
  const given = Object.entries(bounds).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const texts: FieldCondition = { range: { field, ...Object.fromEntries(given) } };
  const numbers = given.map(([name, text]) => [name, numberOf(text)] as const);
  if (numbers.some(([, number]) => number === undefined)) return texts;
  return { or: [{ range: { field, ...Object.fromEntries(numbers) } }, texts] };
}

const field = z.string().min(1);
const several = z.union([z.array(z.string()), z.string().transform((text) => text.split(',').map((part) => part.trim()))]);

/** A condition on the fields of a document, as the settings file has it. */
export const condition: z.ZodType<FieldCondition> = z.lazy(() =>
  z.union(
    [
      z.strictObject({ exists: field }),
      z
        .strictObject({ equals: z.strictObject({ field, value: z.string() }) })
        .transform(({ equals }): FieldCondition => ({ in: { field: equals.field, values: meanings(equals.value) } })),
      z.strictObject({ in: z.strictObject({ field, values: several }) }).transform(({ in: among }): FieldCondition => ({
        in: { field: among.field, values: among.values.flatMap(meanings) },
      })),
      z
        .strictObject({
          range: z
            .strictObject({
              field,
              gt: z.string().optional(),
              gte: z.string().optional(),
              lt: z.string().optional(),
              lte: z.string().optional(),
            })
            .refine((range) => Object.keys(range).length > 1, { error: 'needs gt, gte, lt or lte' }),
        })
        .transform(({ range: { field, ...bounds } }) => rangeOf(field, bounds)),
      z.strictObject({ prefix: z.strictObject({ field, value: z.string() }) }),
      z.strictObject({ and: z.array(condition).min(1) }),
      z.strictObject({ or: z.array(condition).min(1) }),
      z.strictObject({ not: condition }),
    ],
    { error: 'takes one of exists, equals, in, range, prefix, and, or, not' },
  ),
);
