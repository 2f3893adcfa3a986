import { UsageError } from '../core/errors.ts';

/** Throws NAME_INVALID when the server would not take the name: it becomes a subject token and a directory. */
export function checkName(name: string, setting: string): void {
  if (/^[^\s.*>/\\]+$/.test(name)) return;
  const hint = `use letters, digits, - and _ for ${setting}`;
  throw new UsageError('NAME_INVALID', `${JSON.stringify(name)} cannot be the name of a stream or consumer`, hint);
}
