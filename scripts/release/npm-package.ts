import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../provision/command.ts';
import { licenceFiles, type Component } from './components.ts';
import { commandNames, distPath, product, root } from './product.ts';

/**
 * The npm package, packed: the bundle, a launcher a command, licences. It has no dependencies, and Node compiles nothing of it from
 * TypeScript: below node_modules it would refuse to.
 */
export async function makeNpmPackage(bundle: string, components: readonly Component[]): Promise<string> {
  const directory = distPath('npm');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, 'bin'), { recursive: true });
  mkdirSync(join(directory, 'licences'));
  cpSync(bundle, join(directory, 'es-sync.cjs'));
  for (const name of commandNames) writeFileSync(join(directory, 'bin', `${name}.cjs`), launcher, { mode: 0o755 });
  for (const [file, text] of licenceFiles(components)) writeFileSync(join(directory, 'licences', file), text);
  for (const file of ['LICENSE', 'CHANGELOG.md']) cpSync(join(root, file), join(directory, file));
  cpSync(join(root, 'docs', 'deploy', 'npm.md'), join(directory, 'README.md'));
  cpSync(join(root, 'config'), join(directory, 'config'), { recursive: true });
  const { name, version, description, license, engines } = product;
  const bin = Object.fromEntries(commandNames.map((command) => [command, `bin/${command}.cjs`]));
  writeFileSync(
    join(directory, 'package.json'),
    `${JSON.stringify({ name, version, description, license, bin, engines }, undefined, 2)}\n`,
  );
  await command('npm', ['pack', '--silent', '--pack-destination', distPath()], { cwd: directory });
  return distPath(`${name}-${version}.tgz`);
}

/**
 * The same file under each name: the bundle looks at the name that it is called by. Compiled code is kept from one start to the next,
 * where Node keeps it. Flags of Node's own cannot be given portably in the first line, so the one warning is taken out here.
 */
const oldest = product.engines.node.replace(/^\D+/, '').split('.');
const launcher = `#!/usr/bin/env node
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < ${oldest[0]} || (major === ${oldest[0]} && minor < ${oldest[1]})) {
  console.error(\`es-sync-gateway needs Node ${oldest.join('.')} or newer; this is \${process.version}\`);
  process.exit(1);
}
require('node:module').enableCompileCache();
process.removeAllListeners('warning');
process.on('warning', (warning) => warning.name === 'ExperimentalWarning' || console.error(String(warning)));
require('../es-sync.cjs');
`;
