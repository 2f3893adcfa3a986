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
