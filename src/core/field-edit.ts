import { GatewayError } from './errors.ts';
import { JsonValue, type JsonMember } from './json-edit.ts';

/**
 * Changes to a document at dotted paths, as `valuesAt` of field.ts reads them: a path may be spelled nested (`{"a":{"b":1}}`), with dots in
 * a key (`{"a.b":1}`) or both ways, and arrays are looked into. A path stands for the field and for all that lies below it.
 */
export type FieldEdit = (document: JsonValue) => void;

/** What stands in the way of an edit: the document cannot have the form that was asked for. */
function impossible(what: string, why: string): GatewayError {
  return new GatewayError('TRANSFORM_IMPOSSIBLE', `${what}: ${why}`, {
    hint: 'the document is kept as a dead letter; mend the rule or the document, then write the document again',
  });
}

/** How a key in an object stands to the path that is looked for there. */
type Standing = { is: 'hit' } | { is: 'way'; rest: string } | { is: 'aside' };
const hit: Standing = { is: 'hit' };
const aside: Standing = { is: 'aside' };

function standing(key: string, path: string): Standing {
  if (key === path || (key.length > path.length && key.startsWith(path) && key[path.length] === '.')) return hit;
  if (key.length < path.length && path.startsWith(key) && path[key.length] === '.') {
    return { is: 'way', rest: path.slice(key.length + 1) };
  }
  return aside;
}

/** Calls `edit` with each object that has members at the path, and their keys' standing decided by that path within the object. */
function visit(value: JsonValue, path: string, edit: (object: JsonValue, rest: string) => void): void {
  for (const element of value.elements) visit(element, path, edit);
  let hits = false;
  for (const member of value.members) {
    const stands = standing(member.key, path);
    if (stands.is === 'hit') hits = true;
    else if (stands.is === 'way') visit(member.value, stands.rest, edit);
  }
  if (hits) edit(value, path);
}

/** Removes the field. */
export function dropField(path: string): FieldEdit {
  return (document) =>
    visit(document, path, (object, rest) => {
      object.members = object.members.filter(({ key }) => standing(key, rest).is !== 'hit');
    });
}

/** Removes everything but these fields and the objects and arrays on the way to them. */
export function keepFields(paths: readonly string[]): FieldEdit {
  return (document) => keepIn(document, paths);
}

function keepIn(value: JsonValue, paths: readonly string[]): void {
  if (value.kind === 'array') {
    const kept = value.elements.filter((element) => element.kind !== 'scalar');
    for (const element of kept) keepIn(element, paths);
    if (kept.length < value.elements.length) value.elements = kept;
    return;
  }
  const kept = value.members.filter(({ key, value: below }) => {
    const standings = paths.map((path) => standing(key, path));
    if (standings.some(({ is }) => is === 'hit')) return true;
    const rests = standings.flatMap((stands) => (stands.is === 'way' ? [stands.rest] : []));
    // A value that is neither object nor array cannot hold what is to be kept.
    if (rests.length === 0 || below.kind === 'scalar') return false;
    keepIn(below, rests);
    return true;
  });
  if (kept.length < value.members.length) value.members = kept;
}

/** Gives the field another last name, in the object that holds it. Throws TRANSFORM_IMPOSSIBLE where a field of that name is there. */
export function renameField(path: string, to: string): FieldEdit {
  return (document) =>
    visit(document, path, (object, rest) => {
      const dot = rest.lastIndexOf('.');
      const renamed = rest.slice(0, dot + 1) + to;
      if (object.members.some(({ key }) => standing(key, renamed).is === 'hit')) {
        throw impossible(`rename ${path} to ${to}`, `the document has both`);
      }
      object.members = object.members.map((member): JsonMember => {
        if (standing(member.key, rest).is !== 'hit') return member;
        return { key: renamed + member.key.slice(rest.length), value: member.value };
      });
    });
}

/** Puts what `mask` makes of its text in the place of each value at or below the path; null stays null. `mask` answers a JSON text. */
export function maskField(path: string, mask: (text: string) => string): FieldEdit {
  return (document) =>
    visit(document, path, (object, rest) => {
      for (const { key, value } of object.members) if (standing(key, rest).is === 'hit') maskBelow(value, mask);
    });
}

function maskBelow(value: JsonValue, mask: (text: string) => string): void {
  if (value.kind === 'scalar') {
    if (!value.isNull) value.replace(mask(value.scalarText));
    return;
  }
  for (const element of value.elements) maskBelow(element, mask);
  for (const member of value.members) maskBelow(member.value, mask);
}

/**
 * Sets the field to a JSON text, in each object of an array on the way; objects that are missing on the way are made. Throws
 * TRANSFORM_IMPOSSIBLE where another kind of value is in the way.
 */
export function setField(path: string, text: string): FieldEdit {
  return (document) => setIn(document, path, path, text);
}

function setIn(value: JsonValue, path: string, rest: string, text: string): void {
  if (value.kind === 'array') {
    for (const element of value.elements) setIn(element, path, rest, text);
    return;
  }
  if (value.kind === 'scalar')
    throw impossible(`set ${path}`, 'a value that is no object stands where the field would have to be');
  const set: JsonMember[] = [];
  let done = false;
  for (const member of value.members) {
    const stands = standing(member.key, rest);
    if (stands.is === 'hit') {
      // The first one takes the value, and the others would contradict it.
      if (done) continue;
      set.push({ key: rest, value: JsonValue.parse(Buffer.from(text)) });
      done = true;
    } else if (stands.is === 'way' && !member.value.isNull) {
      setIn(member.value, path, stands.rest, text);
      set.push(member);
      done = true;
    } else if (stands.is === 'aside') set.push(member);
  }
  if (!done) set.push(newMember(rest, text));
  value.members = set;
}

function newMember(path: string, text: string): JsonMember {
  const [first, ...others] = path.split('.');
  const nested = others.reduceRight((below, name) => `{${JSON.stringify(name)}:${below}}`, text);
  return { key: first!, value: JsonValue.parse(Buffer.from(nested)) };
}
