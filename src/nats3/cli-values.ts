import { InvalidArgumentError } from 'commander';
import { parseTime } from '../archive/index.ts';
import { parseBytes, parseDuration } from '../service/units.ts';

/** How values of options are read. Each throws what commander tells as wrong usage. */
function reader<T>(read: (text: string) => T | undefined, accepts: string): (text: string) => T {
  return (text) => {
    const value = read(text);
    if (value === undefined || Number.isNaN(value)) throw new InvalidArgumentError(`It takes ${accepts}.`);
    return value;
  };
}

export const integer = reader((text) => (/^\d+$/.test(text) ? Number(text) : undefined), 'a whole number');
export const number = reader((text) => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined), 'a number');
export const duration = reader(parseDuration, 'a duration such as 250ms, 30s or 1h');
export const sizeInBytes = reader(parseBytes, 'a size such as 512KB or 8MB');
/** ns since 1970. */
export const time = reader(tryTime, 'a time such as 2026-01-31T12:00:00Z');

function tryTime(text: string): bigint | undefined {
  try {
    return parseTime(text);
  } catch {
    return undefined;
  }
}
