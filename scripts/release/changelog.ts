import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { product, root } from './product.ts';

/** Release notes are the changelog's part on this version; before it is released, what is under Unreleased. */
export function releaseNotes(): { released: boolean; text: string } {
  const parts = readFileSync(join(root, 'CHANGELOG.md'), 'utf8').split(/^## /m);
  const part = (name: string): string | undefined => parts.find((each) => each.split(/[\s,]/, 1)[0] === name);
  const own = part(product.version) ?? part(`[${product.version}]`);
  const text = own ?? part('Unreleased') ?? '';
  return {
    released: own !== undefined,
    text: `# ${product.name} ${product.version}\n\n${text.split('\n').slice(1).join('\n').trim()}\n`,
  };
}
