import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../../scripts/provision/command.ts';
import { distPath, root } from '../../scripts/release/product.ts';
import type { Manifest } from './chart.ts';

/** Where the types of an API group are: Kubernetes' own, and the Prometheus operator's. */
function moduleOf(apiVersion: string): string {
  return apiVersion.startsWith('monitoring.coreos.com/')
    ? `@kubernetes-models/prometheus-operator/${apiVersion}`
    : `kubernetes-models/${apiVersion}`;
}

/**
 * Holds manifests against the types and the schemas that are made from Kubernetes' OpenAPI document. The compiler refuses keys that there are not,
 * the schemas what a type cannot say. Answers what is wrong, empty if nothing.
 */
export async function kubernetesFaults(manifests: readonly Manifest[]): Promise<string> {
  const faults: string[] = [];
  for (const manifest of manifests) {
    const models = (await import(moduleOf(manifest.apiVersion))) as Record<string, new (of: Manifest) => { validate(): void }>;
    try {
      new models[manifest.kind]!(manifest).validate();
    } catch (error) {
      faults.push(`${manifest.kind} ${manifest.metadata.name}: ${(error as Error).message}`);
    }
  }
  return [...faults, await compilerFaults(manifests)].join('\n').trim();
}

async function compilerFaults(manifests: readonly Manifest[]): Promise<string> {
  const lines = manifests.flatMap((manifest, n) => [
    `import type { I${manifest.kind} as Kind${n} } from '${moduleOf(manifest.apiVersion)}';`,
    `export const manifest${n}: Kind${n} = ${JSON.stringify(manifest)};`,
  ]);
  // Below the checkout, where the packages are found.
  const directory = distPath(`manifests-${process.pid}`);
  mkdirSync(directory, { recursive: true });
  try {
    const file = join(directory, 'manifests.ts');
    writeFileSync(file, lines.join('\n'));
    const flags = ['--noEmit', '--ignoreConfig', '--strict', '--skipLibCheck', '--module', 'nodenext', '--types', '', file];
    return await command(join(root, 'node_modules/.bin/tsc'), flags, { cwd: directory }).catch((error: unknown) => String(error));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
