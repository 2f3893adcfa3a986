import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The shell commands that a page shows in its ```sh blocks, continued lines joined. */
export function commandsOf(page: string): string[] {
  const text = readFileSync(join(import.meta.dirname, '../..', page), 'utf8');
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block]) =>
    block!
      .replaceAll(/ *\\\n */g, ' ')
      .split('\n')
      .filter((line) => line !== ''),
  );
}
