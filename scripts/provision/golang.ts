import { join } from 'node:path';
import { command, isExecutable, which } from './command.ts';

/**
 * Builds a Go program of the module proxy into `stage`/home; false where there is no Go toolchain.
 * The module and build caches are the user's own: Go shares them by design.
 */
export async function goInstall(stage: string, module: string): Promise<boolean> {
  const go = which('go') ?? ['/usr/local/go/bin/go', '/usr/lib/go/bin/go'].find(isExecutable);
  if (go === undefined) return false;
  const env = { GOBIN: join(stage, 'home'), CGO_ENABLED: '0', GOFLAGS: '-trimpath -ldflags=-s' };
  await command(go, ['install', module], { cwd: stage, env });
  return true;
}
