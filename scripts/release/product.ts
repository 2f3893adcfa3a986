import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { programs } from '../../src/es-sync/programs.ts';

export const root = join(import.meta.dirname, '../..');

type Manifest = { name: string; version: string; description: string; license: string; engines: { node: string } };

/** What package.json says of the product. */
export const product = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;

/** Names that the executable can be called by, its own first. */
export const commandNames: readonly string[] = ['es-sync', ...Object.keys(programs)];

/** Below `dist/`, or where DIST says, where everything that is built goes. */
export function distPath(...parts: string[]): string {
  return join(resolve(root, process.env['DIST'] || 'dist'), ...parts);
}
