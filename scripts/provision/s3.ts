import { join } from 'node:path';
import type { Recipe } from './cache.ts';
import { aptGet, canAptGet, command, missing } from './command.ts';
import { goInstall } from './golang.ts';

export const VERSITYGW_VERSION = '1.8.0';

/** versitygw: an S3 gateway over a directory, with real S3 semantics (signatures, multipart, conditional writes), built by Go. */
export const s3Recipe: Recipe = {
  name: `versitygw-${VERSITYGW_VERSION}`,
  build: async (stage) => {
    const module = `github.com/versity/versitygw/cmd/versitygw@v${VERSITYGW_VERSION}`;
    if (!(await goInstall(stage, module))) {
      if (canAptGet()) await aptGet('golang-go');
      if (!(await goInstall(stage, module))) {
        throw missing(
          'the S3 server versitygw needs the Go toolchain, which is not in PATH',
          'install Go 1.24 or newer (Debian: apt-get install golang-go)',
        );
      }
    }
    await command(join(stage, 'home', 'versitygw'), ['--version']);
  },
};
