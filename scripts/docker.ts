import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../src/core/errors.ts';
import { layOutImage } from './release/image.ts';
import { command } from './provision/command.ts';
import { containerEngine } from './provision/engine.ts';
import { distPath, product, root } from './release/product.ts';

/**
 * The container image: `docker.ts build|push`, and `docker.ts tree DIRECTORY`, which builds and lays out what it holds. IMAGE and VERSION name it.
 * LOCAL=1 builds what goes in on this machine instead of in a container, so that no base image is fetched. TO is another place that podman can
 * push to, such as oci:DIRECTORY.
 */
const [name = '', operand] = process.argv.slice(2);
const image = process.env['IMAGE'] || product.name;
const version = process.env['VERSION'] || product.version;
const dockerfile = join('deploy', 'docker', 'Dockerfile');
const bake = ['buildx', 'bake', '--file', join('deploy', 'docker', 'docker-bake.hcl')];

const targets: Record<string, () => Promise<void>> = {
  async build() {
    if (process.env['LOCAL']) return buildLocal();
    const engine = await containerEngine();
    const args =
      engine.program === 'docker'
        ? [...bake, '--load']
        : ['build', '--format', 'docker', ...naming(), '--file', dockerfile, '--ignorefile', `${dockerfile}.dockerignore`, '.'];
    await run(engine.program, args, engine.env);
  },
  async push() {
    const engine = await containerEngine();
    const to = process.env['TO'];
    const args =
      engine.program === 'docker' && !to ? [...bake, '--push', 'release'] : ['push', `${image}:${version}`, ...(to ? [to] : [])];
    await run(engine.program, args, engine.env);
  },
  async tree() {
    if (operand === undefined) throw new Error('docker.ts tree DIRECTORY');
    await layOutImage(operand);
  },
};

/** The build stage is replaced by what it would make. */
async function buildLocal(): Promise<void> {
  const engine = await containerEngine();
  const stage = distPath('container');
  await layOutImage(join(stage, 'image'));
  const empty = distPath('container', 'empty');
  mkdirSync(empty, { recursive: true });
  const how =
    engine.program === 'docker'
      ? ['buildx', 'build', '--load']
      : ['build', '--format', 'docker', '--isolation', 'chroot', '--layers=false'];
  await run(engine.program, [...how, '--build-context', `build=${stage}`, ...naming(), '--file', dockerfile, empty], engine.env);
}

function naming(): string[] {
  return ['--build-arg', `VERSION=${version}`, '--tag', `${image}:${version}`];
}

async function run(program: string, args: string[], env: Readonly<Record<string, string>>): Promise<void> {
  process.stdout.write(`${program} ${args.join(' ')}\n`);
  await command(program, args, { cwd: root, env: { ...env, IMAGE: image, VERSION: version } });
  process.stdout.write(`${image}:${version}\n`);
}

try {
  const target = targets[name];
  if (target === undefined) throw new Error(`docker.ts ${Object.keys(targets).join('|')}`);
  await target();
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}
