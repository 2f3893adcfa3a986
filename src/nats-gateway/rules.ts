import { createHmac } from 'node:crypto';
import type { ChangeEvent } from '../core/event.ts';
import { dropField, type FieldEdit, keepFields, maskField, renameField, setField } from '../core/field-edit.ts';
import { fieldTest, parseExact } from '../core/field.ts';
import { compileIndexPatterns, compilePattern } from '../core/filter.ts';
import { IndexNames } from '../core/index-names.ts';
import { JsonValue } from '../core/json-edit.ts';
import { type ChangeSubject, decodeSubject, subjectMatches } from '../core/subject.ts';
import { mainOutput } from './config.ts';
import { dateIn } from './index-dates.ts';
import type { Deed, FieldFilter, Mask, Route, RuleList, SubjectMatch, Transform } from './rule-settings.ts';

export type RuleSettings = Required<SubjectMatch> & {
  fieldFilters: RuleList<FieldFilter>;
  filterDeletes: boolean;
  transforms: RuleList<Transform>;
  routes: RuleList<Route>;
  maskKey: string | undefined;
};

type Test = (source: Uint8Array) => boolean;

/** One way out for the messages of a subject. */
export type Lane = {
  /** Of the route, or `main`. */
  output: string;
  test: Test | undefined;
  copy: boolean;
  edits: readonly FieldEdit[];
  tenant: string;
  index: string;
  date: { field: string; format: string } | undefined;
  /** Other indices may go to the same index downstream. */
  shared: boolean;
  /** Nothing about a message changes. */
  unchanged: boolean;
};

/** What is done with the messages of one subject. */
export type Plan = {
  subject: ChangeSubject;
  /** Which filter keeps all of them back. */
  filteredBy: string | undefined;
  /** Conditions on documents. */
  tests: readonly Test[];
  /** In the order in which they are asked. */
  lanes: readonly Lane[];
  /** The subject alone settles it: messages pass as bytes. */
  bySubject: boolean;
};

const plansRemembered = 10_000;

/** The rules of one settings file, compiled. They do not change: a reload makes new ones. */
export class Rules {
  readonly #settings: RuleSettings;
  readonly #match: (subject: string, of: ChangeSubject) => string | undefined;
  readonly #routes: readonly {
    route: Route;
    match: (subject: string, of: ChangeSubject) => string | undefined;
    test: Test | undefined;
  }[];
  readonly #filters: readonly { applies: (index: string) => boolean; test: Test }[];
  readonly #plans = new Map<string, Plan>();

  constructor(settings: RuleSettings) {
    this.#settings = settings;
    this.#match = subjectMatcher(settings);
    this.#filters = settings.fieldFilters.rules.map(({ indices, where }) => ({
      applies: indexMatcher(indices),
      test: fieldTest(where),
    }));
    this.#routes = settings.routes.rules.map((route) => ({
      route,
      match: subjectMatcher(route.match),
      test: route.match.where === undefined ? undefined : fieldTest(route.match.where),
    }));
  }

  get routes(): readonly Route[] {
    return this.#settings.routes.rules;
  }

  /** A document that does not meet the conditions is deleted where it may have been before. */
  get filterDeletes(): boolean {
    return this.#settings.filterDeletes;
  }

  /** Throws SUBJECT_FOREIGN, SUBJECT_ENCODING. The first token of a subject may be any prefix. */
  plan(subject: string): Plan {
    let plan = this.#plans.get(subject);
    if (plan === undefined) {
      plan = this.#plan(subject);
      if (this.#plans.size >= plansRemembered) this.#plans.clear();
      this.#plans.set(subject, plan);
    }
    return plan;
  }

  #plan(text: string): Plan {
    const subject = decodeSubject(text, text.slice(0, Math.max(0, text.indexOf('.'))));
    const filteredBy = this.#match(text, subject);
    const tests = this.#filters.filter(({ applies }) => applies(subject.index)).map(({ test }) => test);
    const lanes: Lane[] = [];
    let open = true;
    for (const { route, match, test } of this.#routes) {
      if (!open || match(text, subject) !== undefined) continue;
      lanes.push(this.#lane(subject, route.name, test, route.copy, route.transforms));
      open = route.copy || test !== undefined;
    }
    if (open) lanes.push(this.#lane(subject, mainOutput, undefined, false, []));
    const bySubject = tests.length === 0 && lanes.every((lane) => lane.unchanged && lane.test === undefined);
    return { subject, filteredBy, tests, lanes, bySubject };
  }

  #lane(
    { tenant, index }: ChangeSubject,
    output: string,
    test: Test | undefined,
    copy: boolean,
    own: readonly Transform[],
  ): Lane {
    const deeds = [...this.#settings.transforms.rules, ...own]
      .filter(({ indices }) => indexMatcher(indices)(index))
      .map(({ deed }) => deed);
    const renames = deeds.filter((deed) => deed.is === 'rename-index');
    const found = new IndexNames(renames).find(index);
    const date = found === undefined ? undefined : renames[found.rule]!.date;
    const merged = found !== undefined && renames.some((rule, at) => at !== found.rule && rule.to === renames[found.rule]!.to);
    const edits = deeds.flatMap((deed) => editsOf(deed, this.#settings.maskKey ?? ''));
    const named = {
      tenant: deeds.findLast((deed) => deed.is === 'set-tenant')?.tenant ?? tenant,
      index: found?.target.name ?? index,
    };
    const unchanged = edits.length === 0 && date === undefined && named.tenant === tenant && named.index === index;
    return {
      output,
      test,
      copy,
      edits,
      ...named,
      date,
      shared: date !== undefined || merged || found?.target.shared === true,
      unchanged,
    };
  }
}

/** What comes out of one change: for a lane, a change or the reason why it cannot be made. */
type Result = { lane: Lane } & ({ event: ChangeEvent } | { error: unknown });
export type Results = { results: readonly Result[]; filtered: boolean; transformed: boolean };

/** Applies the plan of a change's subject to the change, whose document must be at hand. */
export function applyPlan(plan: Plan, change: ChangeEvent, filterDeletes: boolean): Results {
  const { source } = change;
  const filtered = source !== undefined && !plan.tests.every((test) => test(source));
  const results: Result[] = [];
  if (filtered && !filterDeletes) return { results, filtered, transformed: false };
  let transformed = false;
  const emit = (lane: Lane, event: ChangeEvent): void => {
    if (!lane.unchanged) transformed = true;
    try {
      results.push({ lane, event: transformedFor(lane, event, source) });
    } catch (error) {
      results.push({ lane, error });
    }
  };
  let taken = false;
  for (const lane of plan.lanes) {
    if (source === undefined || filtered) emit(lane, withoutDocument(change));
    else if (taken || (lane.test !== undefined && !lane.test(source))) {
      if (filterDeletes) emit(lane, withoutDocument(change));
      continue;
    } else {
      emit(lane, change);
      taken = !lane.copy;
    }
  }
  return { results, filtered, transformed };
}

/** What a target must hear that must not have the document, or no longer: a delete of the same version. */
function withoutDocument(change: ChangeEvent): ChangeEvent {
  if (change.op === 'delete') return change;
  // Named one by one: collecting the rest of an object costs several times as much.
  const { tenant, index, id, version, seqNo, primaryTerm, ts, routing, extra } = change;
  const gone: ChangeEvent = { tenant, index, id, op: 'delete', version, seqNo, primaryTerm, ts };
  if (routing !== undefined) gone.routing = routing;
  if (extra !== undefined) gone.extra = extra;
  return gone;
}

function transformedFor(lane: Lane, event: ChangeEvent, document: Uint8Array | undefined): ChangeEvent {
  if (lane.unchanged) return event;
  const parsed = lane.date === undefined || document === undefined ? undefined : parseExact(Buffer.from(document).toString());
  const suffix = lane.date === undefined ? '' : dateIn(parsed, lane.date.field, lane.date.format);
  const named = { ...event, tenant: lane.tenant, index: lane.index + suffix };
  if (event.source === undefined || lane.edits.length === 0) return named;
  const value = JsonValue.parse(event.source);
  for (const edit of lane.edits) edit(value);
  return { ...named, source: value.print() };
}

function indexMatcher(patterns: readonly string[] | undefined): (index: string) => boolean {
  return patterns === undefined ? () => true : compileIndexPatterns(patterns);
}

/** Answers the name of the setting that keeps the messages of a subject back, or undefined. */
function subjectMatcher(match: SubjectMatch): (text: string, subject: ChangeSubject) => string | undefined {
  const included = indexMatcher(match.includeIndices);
  const excluded = (match.excludePatterns ?? []).map(compilePattern);
  const tenants = match.includeTenants?.map(compilePattern);
  return (text, { tenant, index, operation }) => {
    if (!included(index)) return 'include-indices';
    if (excluded.some((test) => test(index))) return 'exclude-patterns';
    // The end of an index is the end of its documents.
    if (match.includeOperations?.includes(operation === 'drop' ? 'delete' : operation) === false) return 'include-operations';
    if (tenants?.some((test) => test(tenant)) === false) return 'include-tenants';
    if (match.includeSubjects?.some((pattern) => subjectMatches(pattern, text)) === false) return 'include-subjects';
    return undefined;
  };
}

function editsOf(deed: Deed, maskKey: string): FieldEdit[] {
  switch (deed.is) {
    case 'rename-index':
    case 'set-tenant':
      return [];
    case 'drop':
      return deed.fields.map(dropField);
    case 'keep':
      return [keepFields(deed.fields)];
    case 'rename':
      return [renameField(deed.field, deed.to)];
    case 'mask':
      return deed.fields.map((field) => maskField(field, masking(deed.mask, maskKey)));
    case 'set':
    default:
      // A document has one line, and line ends in JSON can only be white space.
      return [setField(deed.field, deed.json.replace(/[\r\n]/g, ' ').trim())];
  }
}

/** Characters of the hash in hexadecimal: 128 bits. */
const hashLength = 32;

function masking(mask: Mask, key: string): (text: string) => string {
  switch (mask.is) {
    case 'fixed':
      return () => JSON.stringify(mask.text);
    case 'hash':
      return (text) => `"${createHmac('sha256', key).update(text).digest('hex').slice(0, hashLength)}"`;
    case 'partial':
    default:
      return (text) => JSON.stringify(partly(Array.from(text), mask.keep, mask.side));
  }
}

/** A text that is no longer than what would be kept is hidden whole. */
function partly(characters: readonly string[], keep: number, side: 'start' | 'end'): string {
  const hidden = characters.length > keep ? characters.length - keep : characters.length;
  const stars = '*'.repeat(hidden);
  if (hidden === characters.length) return stars;
  return side === 'end' ? stars + characters.slice(hidden).join('') : characters.slice(0, keep).join('') + stars;
}
