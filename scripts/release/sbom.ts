import { createHash } from 'node:crypto';
import type { Component } from './components.ts';
import { product } from './product.ts';

/** The software bill of materials, CycloneDX 1.6 as JSON (https://cyclonedx.org/docs/1.6/json/). The same parts give the same text. */
export function sbom(components: readonly Component[], createdAt: Date): string {
  const own = `pkg:generic/${product.name}@${product.version}`;
  const listed = components.map(({ name, version, purl, licence }) => ({
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    licenses: [/ (OR|AND|WITH) /.test(licence) ? { expression: licence } : { license: { id: licence } }],
  }));
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify([own, listed]))}`,
    version: 1,
    metadata: {
      timestamp: createdAt.toISOString(),
      component: {
        type: 'application',
        'bom-ref': own,
        name: product.name,
        version: product.version,
        purl: own,
        licenses: [{ license: { id: product.license } }],
      },
    },
    components: listed,
    dependencies: [{ ref: own, dependsOn: listed.map(({ purl }) => purl) }],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

/** A UUID of version 8 (RFC 9562: made by a rule of our own) from the text. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-');
}

type Document = {
  bomFormat?: string;
  specVersion?: string;
  serialNumber?: string;
  metadata?: { component?: { 'bom-ref'?: string } };
  components?: Record<string, unknown>[];
  dependencies?: { ref: string; dependsOn: string[] }[];
};

/** What keeps a text from being a CycloneDX document with all that ours should have. */
export function faultsOfSbom(text: string): string[] {
  const { bomFormat, specVersion, serialNumber, metadata, components = [], dependencies = [] } = JSON.parse(text) as Document;
  const faults: string[] = [];
  const want = (right: boolean, fault: string): void => void (right || faults.push(fault));
  want(bomFormat === 'CycloneDX' && specVersion === '1.6', 'it is not CycloneDX 1.6');
  want(/^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(serialNumber ?? ''), 'the serial number is no UUID');
  want(components.length > 0, 'it has no components');
  for (const component of components) {
    for (const key of ['type', 'name', 'version', 'purl', 'bom-ref', 'licenses'])
      want(component[key] !== undefined && component[key] !== '', `${String(component['name'])} has no ${key}`);
  }
  const references = [metadata?.component?.['bom-ref'], ...components.map((component) => component['bom-ref'])];
  want(new Set(references).size === references.length, 'a bom-ref stands twice');
  const dangling = dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]).filter((ref) => !references.includes(ref));
  want(dangling.length === 0, `dependencies on what is not listed: ${dangling.join(', ')}`);
  return faults;
}
