import type { RenameRule } from '../core/index-names.ts';
import type { Given, Kind } from './kinds.ts';

const ACCEPTS = 'FROM=TO such as logs-*=copy-$1, with a $ number for a * that is there';

/** `FROM=TO`, or in the file also `{from: FROM, to: TO}`. */
export function renameRule(): Kind<RenameRule> {
  return {
    placeholder: 'FROM=TO',
    parse(given) {
      const rule = readRule(given);
      return rule === undefined || !fits(rule) ? { wrong: ACCEPTS } : { value: rule };
    },
    show: ({ from, to }) => `${from}=${to}`,
  };
}

function readRule(given: Given): RenameRule | undefined {
  if (typeof given === 'string') {
    const parts = given.split('=');
    return parts.length === 2 ? { from: parts[0]!.trim(), to: parts[1]!.trim() } : undefined;
  }
  if (Array.isArray(given)) return undefined;
  const { from, to, ...others } = given as { [key: string]: Given };
  return typeof from === 'string' && typeof to === 'string' && Object.keys(others).length === 0 ? { from, to } : undefined;
}

function fits({ from, to }: RenameRule): boolean {
  const stars = from.split('*').length - 1;
  const taken = [...to.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number));
  return from !== '' && to !== '' && !to.includes('*') && taken.every((number) => number >= 1 && number <= stars);
}
