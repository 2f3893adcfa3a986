import { readFileSync } from 'node:fs';

/** Put in by the bundler, as the executable has no package.json beside it. */
declare const PRODUCT_VERSION: string | undefined;

export function productVersion(): string {
  if (typeof PRODUCT_VERSION === 'string') return PRODUCT_VERSION;
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  return version;
}
