import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { distPath, product, root } from './product.ts';

export type Bundle = {
  file: string;
  /** Files that went into it, relative to the checkout. */
  inputs: readonly string[];
};

const made: { bundle?: Promise<Bundle> } = {};

/** The same for all that one run builds. */
export function bundle(): Promise<Bundle> {
  return (made.bundle ??= makeBundle());
}

/**
 * All programs and their packages as one CommonJS file: what the executables and the npm package run. Modules that are imported
 * lazily stay lazy. Names are kept as written, so that a stack trace can be read.
 */
async function makeBundle(): Promise<Bundle> {
  const file = distPath('bundle', 'es-sync.cjs');
  mkdirSync(distPath('bundle'), { recursive: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [join('src', 'es-sync', 'main.ts')],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: `node${product.engines.node.replace(/^\D+/, '')}`,
    // What is left to be imported are modules of Node, which `require` has too: the executable has no other loader.
    supported: { 'dynamic-import': false },
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    define: { PRODUCT_VERSION: JSON.stringify(product.version) },
    plugins: [lean],
    // The one use of import.meta is where the version is read from a checkout, and never reached in a bundle.
    logOverride: { 'empty-import-meta': 'silent' },
    metafile: true,
    logLevel: 'warning',
  });
  return { file, inputs: Object.keys(metafile.inputs) };
}

/** Modules of which the programs use a part that is loaded in a fraction of the time: see lean/. */
const lean: Plugin = {
  name: 'lean',
  setup(build) {
    build.onResolve({ filter: /^(undici|node:http2)$/ }, ({ path }) => ({
      path: join(import.meta.dirname, 'lean', `${path.replace(/^node:/, '')}.cjs`),
    }));
  },
};
