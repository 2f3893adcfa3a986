import { copyFileSync, mkdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describeError } from '../src/core/errors.ts';
import { makeRootfs } from './firecracker/rootfs.ts';
import { install } from './provision/cache.ts';
import { kernelRecipe } from './provision/kernel.ts';
import { distPath, root } from './release/product.ts';

/** What a microVM is made of, below dist/firecracker: `firecracker.ts kernel|rootfs`. */
const targets: Record<string, () => Promise<string>> = {
  async kernel() {
    const output = distPath('firecracker', 'vmlinux');
    copyFileSync(join(await install(await kernelRecipe()), 'vmlinux'), output);
    return output;
  },
  async rootfs() {
    const output = distPath('firecracker', 'rootfs.ext4');
    const built = distPath(`linux-${process.arch}`);
    await makeRootfs({ executable: join(built, 'es-sync'), natsServer: join(built, 'nats-server'), output });
    copyFileSync(join(root, 'deploy/firecracker/vm.json'), distPath('firecracker', 'vm.json'));
    return output;
  },
};

const [name = ''] = process.argv.slice(2);
try {
  const target = targets[name];
  if (target === undefined) throw new Error(`firecracker.ts ${Object.keys(targets).join('|')}`);
  mkdirSync(distPath('firecracker'), { recursive: true });
  const output = await target();
  process.stdout.write(`${relative(root, output)}  ${(statSync(output).size / 1e6).toFixed(1)} MB\n`);
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}
