import type { ChangeEvent, DocumentOperation } from './event.ts';
import type { Filter } from './strategy.ts';
import { encodeSubject, subjectMatches } from './subject.ts';
import { fieldTest, type FieldCondition } from './field.ts';

/** `*` is any run of characters, `?` any one; everything else is itself. */
export function compilePattern(pattern: string): (name: string) => boolean {
  if (pattern === '*') return () => true;
  if (!/[*?]/.test(pattern)) return (name) => name === pattern;
  const source = pattern.replace(/[\\^$.|+()[\]{}/*?]/g, (c) => (c === '*' ? '.*' : c === '?' ? '.' : `\\${c}`));
  const compiled = new RegExp(`^${source}$`, 'su');
  return (name) => compiled.test(name);
}

/** Patterns as users give them: `logs-*,-logs-debug*`. With exclusions alone, everything else is included. */
export function compileIndexPatterns(patterns: readonly string[]): (name: string) => boolean {
  const excluded = patterns.filter((p) => p.startsWith('-')).map((p) => compilePattern(p.slice(1)));
  const included = patterns.filter((p) => !p.startsWith('-')).map(compilePattern);
  if (included.length === 0 && excluded.length > 0) included.push(() => true);
  return (name) => included.some((test) => test(name)) && !excluded.some((test) => test(name));
}

export function indexFilter(patterns: readonly string[]): Filter {
  const test = compileIndexPatterns(patterns);
  return { name: `index in ${patterns.join(',')}`, needs: 'subject', passes: (event) => test(event.index) };
}

export function operationFilter(operations: readonly DocumentOperation[]): Filter {
  const allowed = new Set<DocumentOperation>(operations);
  return { name: `operation in ${operations.join(',')}`, needs: 'subject', passes: (event) => allowed.has(event.op) };
}

export function subjectFilter(patterns: readonly string[]): Filter {
  const known = new Map<string, boolean>();
  return {
    name: `subject in ${patterns.join(',')}`,
    needs: 'subject',
    passes(event) {
      const subject = encodeSubject({ tenant: event.tenant, index: event.index, operation: event.op });
      let passes = known.get(subject);
      if (passes === undefined) {
        passes = patterns.some((pattern) => subjectMatches(pattern, subject));
        if (known.size >= subjectsRemembered) known.clear();
        known.set(subject, passes);
      }
      return passes;
    },
  };
}
const subjectsRemembered = 10_000;

/** By the document's fields. A delete has no document and passes: whoever has the document must hear of it. */
export function fieldFilter(condition: FieldCondition): Filter {
  const test = fieldTest(condition);
  return {
    name: `fields ${JSON.stringify(condition)}`,
    needs: 'event',
    passes: (event: ChangeEvent) => event.source === undefined || test(event.source),
  };
}

/** All must pass; the cheap ones are asked first. */
export function filterChain(filters: readonly Filter[]): Filter {
  const ordered = [...filters].sort((a, b) => Number(a.needs === 'event') - Number(b.needs === 'event'));
  return {
    name: ordered.map((f) => f.name).join(' and ') || 'everything',
    needs: ordered.some((f) => f.needs === 'event') ? 'event' : 'subject',
    passes: (event) => ordered.every((f) => f.passes(event)),
  };
}
