import { UsageError } from '../core/errors.ts';

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

/** Throws NAME_INVALID when the server would not take the name: it becomes a subject token and a directory. */
export function checkName(name: string, setting: string): void {
  if (/^[^\s.*>/\\]+$/.test(name)) return;
  const hint = `use letters, digits, - and _ for ${setting}`;
  throw new UsageError('NAME_INVALID', `${JSON.stringify(name)} cannot be the name of a stream or consumer`, hint);
}
