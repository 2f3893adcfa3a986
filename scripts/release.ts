import { cpSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describeError } from '../src/core/errors.ts';
import { install } from './provision/cache.ts';
import { natsRecipe } from './provision/nats.ts';
import { nodeHome, NODE_VERSION } from './provision/node.ts';
import { bundle } from './release/bundle.ts';
import { linkCommands, makeExecutable } from './release/executable.ts';
import { distPath, root } from './release/product.ts';

/** Builds what is shipped, below dist/: `release.ts build|release`. */
const targets: Record<string, () => Promise<void>> = {
  async build() {
    say((await bundle()).file);
  },
  async release() {
    say(await release());
  },
};

/** dist/linux-x64: the executable, its links, and the NATS server that it runs. */
async function release(): Promise<string> {
  const directory = distPath(`linux-${process.arch}`);
  const output = join(directory, 'es-sync');
  const { file } = await bundle();
  await makeExecutable({ node: join(await nodeHome(NODE_VERSION), 'bin', 'node'), bundle: file, output });
  linkCommands(directory);
  cpSync(join(await install(natsRecipe), 'nats-server'), join(directory, 'nats-server'));
  return output;
}

function say(file: string): void {
  process.stdout.write(`${relative(root, file)}  ${(statSync(file).size / 1e6).toFixed(1)} MB\n`);
}

const [name = ''] = process.argv.slice(2);
try {
  const target = targets[name];
  if (target === undefined) throw new Error(`release.ts ${Object.keys(targets).join('|')}`);
  await target();
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}
