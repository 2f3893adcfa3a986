import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clearedEnvironment, command } from '../provision/command.ts';

/** Names of files in one directory: what the executable starts with, the bundle as a function, and what V8 has made of that. */
export type CompiledCode = { loader: string; code: string; cache: string };

export const codeAsset = 'code';
export const cacheAsset = 'cache';
/** Shown in stack traces; a directory would tell where it was built. */
const fileName = 'es-sync.cjs';

/** Runs the bundle as if it were this file. */
const runner = (getCode: string, cache: string): string => `'use strict';
const { Script } = require('node:vm');
const script = new Script(${getCode}, { filename: '${fileName}', ${cache} });
script.runInThisContext()({}, require, { exports: {} }, '${fileName}', '.');
`;
/** The cache fits the very Node and flags that it was made with. */
const complaint =
  "if (script.cachedDataRejected) process.emitWarning('the compiled code is not used, as it was made by another Node');\n";
/** Whether V8 makes machine code, and drops code that was not called for a while: both happen when there is time for it. */
const background = (wanted: boolean): string =>
  ['sparkplug', 'maglev', 'turbofan', 'flush-bytecode']
    .map((compiler) => `require('node:v8').setFlagsFromString('--${wanted ? '' : 'no-'}${compiler}');\n`)
    .join('');

/** An expression for the bytes of an asset, which are not copied. */
const asset = (name: string): string => `Buffer.from(require('node:sea').getRawAsset('${name}'))`;

/**
 * What Node's own build has to offer is the code of functions that are compiled at once; most are compiled when they are first called. So
 * the bundle is loaded once here (`es-sync --rehearse`), and all that has been compiled by then is kept. `node` is how that Node is called.
 *
 * The same Node gives the same bytes. What would change them from run to run: a seed of the run's own, by which V8 orders what it writes;
 * garbage that is collected, which leaves traces; what V8 does beside, when there is time for it; settings of Node's in our environment
 * (coverage compiles otherwise); and whatever the rehearsal does by the clock. The flags against the third are taken back in time, since flags
 * are part of what a cache must fit.
 */
export async function compileCode(bundle: string, directory: string, node: readonly string[]): Promise<CompiledCode> {
  const files: CompiledCode = { loader: 'loader.cjs', code: 'code', cache: 'cache' };
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text, 'latin1');
  // esbuild writes ASCII.
  const text = readFileSync(bundle, 'latin1');
  write(files.code, `(function (exports, require, module, __filename, __dirname) {${text}\n})`);
  write(files.loader, runner(`${asset(codeAsset)}.latin1Slice()`, `cachedData: ${asset(cacheAsset)}`) + complaint);
  const save = `require('node:fs').writeFileSync('${files.cache}', script.createCachedData());`;
  const atEnd = `process.once('beforeExit', () => {\n${background(true)}${save}\n});\n`;
  write('rehearsal.cjs', background(false) + runner(`require('node:fs').readFileSync('${files.code}', 'latin1')`, '') + atEnd);
  const flags = ['--random-seed=1', '--min-semi-space-size=256', '--max-semi-space-size=256'];
  const [program = '', ...before] = node;
  await command(program, [...before, ...flags, 'rehearsal.cjs', '--rehearse'], { cwd: directory, env: clearedEnvironment() });
  return files;
}
