import { join } from 'node:path';
import { command } from '../../scripts/provision/command.ts';
import { containerEngine, type Engine } from '../../scripts/provision/engine.ts';
import { temporaryDirectory } from '../../scripts/servers.ts';

const dist = temporaryDirectory('image');
const root = join(import.meta.dirname, '../..');

/** The image as `make docker-build` makes it of what this checkout holds, in a store of its own. */
export async function buildImage(): Promise<{ engine: Engine; image: string; directory: string }> {
  const directory = temporaryDirectory('engine');
  const engine = await containerEngine(directory);
  const image = 'es-sync-gateway-test';
  await make(engine, 'docker-build', 'LOCAL=1', `IMAGE=${image}`, 'VERSION=test');
  return { engine, image: `${image}:test`, directory };
}

export async function make(engine: Engine, ...args: string[]): Promise<string> {
  // A place of its own for what is built: another run of this checkout may be at it.
  return command('make', ['--no-print-directory', ...args], { cwd: root, env: { ...engine.env, DIST: dist } });
}
