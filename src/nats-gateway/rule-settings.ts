import { z } from 'zod';
import type { FieldCondition } from '../core/field.ts';
import type { DocumentOperation } from '../core/event.ts';
import { documentOperations } from '../core/event.ts';
import type { Given, Kind } from '../service/kinds.ts';
import { condition } from './conditions.ts';
import { dateFormat } from './index-dates.ts';

/** Documents of indices of these patterns must match, or they are not passed on. Without patterns: of all indices. */
export type FieldFilter = { indices: readonly string[] | undefined; where: FieldCondition };

export type Mask = { is: 'fixed'; text: string } | { is: 'hash' } | { is: 'partial'; keep: number; side: 'start' | 'end' };

export type Deed =
  | { is: 'rename-index'; from: string; to: string; date: { field: string; format: string } | undefined }
  | { is: 'set-tenant'; tenant: string }
  | { is: 'drop'; fields: readonly string[] }
  | { is: 'keep'; fields: readonly string[] }
  | { is: 'rename'; field: string; to: string }
  | { is: 'mask'; fields: readonly string[]; mask: Mask }
  | { is: 'set'; field: string; json: string };

/** A deed, and the indices, by their names at the source, to which it is done; without patterns all. */
export type Transform = { indices: readonly string[] | undefined; deed: Deed };

/** What a filter can say by the subject alone; a key that is not given lets everything pass. */
export type SubjectMatch = {
  includeIndices?: readonly string[] | undefined;
  excludePatterns?: readonly string[] | undefined;
  includeOperations?: readonly DocumentOperation[] | undefined;
  includeTenants?: readonly string[] | undefined;
  includeSubjects?: readonly string[] | undefined;
};

export type Route = {
  name: string;
  match: SubjectMatch & { where?: FieldCondition | undefined };
  /** True: what it takes goes on to the routes after it and to the output too. */
  copy: boolean;
  transforms: readonly Transform[];
  to: { url?: string | undefined; stream?: string | undefined; prefix?: string | undefined };
};

const texts = z
  .union([z.array(z.string().min(1)), z.string().transform((text) => text.split(',').map((part) => part.trim()))])
  .refine((list) => list.length > 0 && list.every((text) => text !== ''), { error: 'takes one or more texts' });
const path = z.string().regex(/^[^.]+(\.[^.]+)*$/, 'takes a dotted path');
const paths = texts.refine((list) => list.every((one) => path.safeParse(one).success), { error: 'takes dotted paths' });
const name = z.string().regex(/^[\w-]+$/, 'takes letters, digits, - and _');

const mask = z.union(
  [
    z.strictObject({ field: paths, with: z.literal('fixed'), text: z.string().default('***') }),
    z.strictObject({ field: paths, with: z.literal('hash') }),
    z.strictObject({
      field: paths,
      with: z.literal('partial'),
      keep: z
        .string()
        .regex(/^\d{1,4}$/, 'takes a number')
        .default('4')
        .transform(Number),
      side: z.enum(['start', 'end']).default('end'),
    }),
  ],
  { error: 'takes field, and with: fixed (text), hash, or partial (keep, side: start|end)' },
);

const renameIndex = z
  .strictObject({
    from: z.string().min(1),
    to: z.string().min(1),
    date: z.strictObject({ field: path, format: dateFormat }).optional(),
  })
  .refine(({ from, to }) => capturesFit(from, to), { error: 'takes a $ number for each * it uses, and no * in to' });

const json = z.string().refine(isJson, { error: 'takes a JSON text' });
const set = z.union([
  z.strictObject({ field: path, value: z.string() }).transform(({ field, value }) => ({ field, json: JSON.stringify(value) })),
  z.strictObject({ field: path, json }),
]);

const indices = { indices: texts.optional() };
const transform: z.ZodType<Transform> = z.union(
  [
    z.strictObject({ ...indices, 'rename-index': renameIndex }).transform(({ indices, 'rename-index': { date, ...rule } }) => ({
      indices,
      deed: { is: 'rename-index' as const, ...rule, date },
    })),
    z
      .strictObject({ ...indices, 'set-tenant': z.string().min(1) })
      .transform(({ indices, 'set-tenant': tenant }) => ({ indices, deed: { is: 'set-tenant' as const, tenant } })),
    z
      .strictObject({ ...indices, drop: paths })
      .transform(({ indices, drop }) => ({ indices, deed: { is: 'drop' as const, fields: drop } })),
    z
      .strictObject({ ...indices, keep: paths })
      .transform(({ indices, keep }) => ({ indices, deed: { is: 'keep' as const, fields: keep } })),
    z
      .strictObject({
        ...indices,
        rename: z.strictObject({
          field: path,
          to: z.string().regex(/^[^.]+$/, 'takes a name without dots: the field stays in its object'),
        }),
      })
      .transform(({ indices, rename }) => ({ indices, deed: { is: 'rename' as const, ...rename } })),
    z.strictObject({ ...indices, mask }).transform(({ indices, mask: { field, ...how } }) => ({
      indices,
      deed: { is: 'mask' as const, fields: field, mask: maskOf(how) },
    })),
    z.strictObject({ ...indices, set }).transform(({ indices, set }) => ({ indices, deed: { is: 'set' as const, ...set } })),
  ],
  { error: 'takes one of rename-index, set-tenant, drop, keep, rename, mask, set in its right form, and indices' },
);

function maskOf(
  how: { with: 'fixed'; text: string } | { with: 'hash' } | { with: 'partial'; keep: number; side: 'start' | 'end' },
): Mask {
  const { with: is, ...rest } = how;
  return { is, ...rest } as Mask;
}

const operations = texts.refine((list) => list.every((one) => (documentOperations as readonly string[]).includes(one)), {
  error: 'takes index, update, delete',
}) as unknown as z.ZodType<DocumentOperation[]>;

const route = z
  .strictObject({
    name,
    'include-indices': texts.optional(),
    'exclude-patterns': texts.optional(),
    'include-operations': operations.optional(),
    'include-tenants': texts.optional(),
    'include-subjects': texts.optional(),
    where: condition.optional(),
    copy: z
      .enum(['true', 'false'])
      .default('false')
      .transform((text) => text === 'true'),
    transforms: z.array(transform).default([]),
    to: z
      .strictObject({ url: z.string().min(1).optional(), stream: name.optional(), prefix: name.optional() })
      .refine((to) => Object.keys(to).length > 0, { error: 'takes one or more of url, stream and prefix' }),
  })
  .transform((given): Route => ({
    name: given.name,
    match: {
      includeIndices: given['include-indices'],
      excludePatterns: given['exclude-patterns'],
      includeOperations: given['include-operations'],
      includeTenants: given['include-tenants'],
      includeSubjects: given['include-subjects'],
      where: given.where,
    },
    copy: given.copy,
    transforms: given.transforms,
    to: given.to,
  }));

const fieldFilter: z.ZodType<FieldFilter> = z
  .strictObject({ indices: texts.optional(), where: condition })
  .transform(({ indices, where }) => ({ indices, where }));

/** A list of rules: YAML in the file; JSON in a flag or variable. `rules` keeps what was given, to be shown again. */
export type RuleList<T> = { rules: readonly T[]; given: Given };

function ruleList<T>(rule: z.ZodType<T>, what: string): Kind<RuleList<T>> {
  const list = z.array(rule);
  return {
    placeholder: 'JSON',
    parse(given) {
      const read = typeof given === 'string' ? fromJson(given) : given;
      if (read === undefined) return { wrong: `${what} as a list, in YAML in the file and in JSON elsewhere` };
      const parsed = list.safeParse(read);
      if (parsed.success) return { value: { rules: parsed.data, given: read } };
      const [first] = parsed.error.issues;
      const where = first === undefined || first.path.length === 0 ? '' : ` at ${first.path.join('.')}`;
      return { wrong: `${what} as a list;${where}: ${first?.message ?? 'it is none'}` };
    },
    show: ({ given }) => JSON.stringify(given),
  };
}

/** JSON with its scalars as text, as they come out of the file. */
function fromJson(text: string): Given | undefined {
  try {
    return asGiven(
      JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
        typeof value === 'number' && context?.source !== undefined ? context.source : value,
      ),
    );
  } catch {
    return undefined;
  }
}

function asGiven(value: unknown): Given {
  if (Array.isArray(value)) return value.map(asGiven);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, asGiven(one)]));
  return String(value);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function capturesFit(from: string, to: string): boolean {
  const stars = from.split('*').length - 1;
  return !to.includes('*') && [...to.matchAll(/\$(\d+)/g)].every(([, number]) => Number(number) >= 1 && Number(number) <= stars);
}

export const fieldFilters = (): Kind<RuleList<FieldFilter>> => ruleList(fieldFilter, 'field filters');
export const transforms = (): Kind<RuleList<Transform>> => ruleList(transform, 'transforms');
export const routes = (): Kind<RuleList<Route>> => ruleList(route, 'routes');
