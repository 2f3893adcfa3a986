import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recipe } from './cache.ts';
import { command } from './command.ts';
import { properties } from './elasticsearch.ts';
import { jdkHome, maven, type JavaRange, type Maven } from './java.ts';
import { zipEntries } from './zip.ts';

/** The supported release lines. */
const RELEASES = {
  '2.19': { version: '2.19.6', java: { min: 11, max: 25 } },
  '3.8': { version: '3.8.0', java: { min: 21, max: 25 } },
} as const satisfies Record<string, { version: string; java: JavaRange }>;

export type OpenSearchLine = keyof typeof RELEASES;

export const OPENSEARCH_LINES = Object.keys(RELEASES) as OpenSearchLine[];

/** Of a release line, the version that is used here and the Java releases that it runs on. */
export function opensearchRelease(line: OpenSearchLine): { version: string; java: JavaRange } {
  return RELEASES[line];
}

/** The stock modules that the minimal distribution has, as Maven Central names them. */
const MODULES = [
  'aggs-matrix-stats-client',
  'analysis-common',
  'geo',
  'ingest-common',
  'lang-expression',
  'lang-mustache-client',
  'lang-painless',
  'mapper-extras-client',
  'parent-join-client',
  'percolator-client',
  'rank-eval-client',
  'reindex-client',
  'transport-netty4-client',
];

/** Modules whose classes extend painless. */
const EXTENDS_PAINLESS = new Set(['analysis-common', 'geo', 'ingest-common']);

/** OpenSearch put together from its artifacts on Maven Central, laid out like the minimal distribution: lib/ and modules/NAME/. */
export function opensearchRecipe(line: OpenSearchLine): Recipe {
  const { version, java } = RELEASES[line];
  return {
    name: `opensearch-${version}`,
    build: async (stage) => {
      const home = join(stage, 'home');
      const lib = join(home, 'lib');
      for (const directory of [lib, join(home, 'plugins'), join(home, 'launcher')]) mkdirSync(directory, { recursive: true });
      const mvn = await maven(stage);
      await download(mvn, stage, lib, version);
      for (const artifact of MODULES) addModule(home, artifact, version);
      const spi = readdirSync(lib).filter((name) => name.startsWith('opensearch-scripting-painless-spi-'));
      // painless reads its allow lists through its own class loader, so this jar must stand beside it
      for (const jar of spi) renameSync(join(lib, jar), join(home, 'modules', 'lang-painless', jar));
      await compileLauncher(home, java);
    },
  };
}

async function download(mvn: Maven, stage: string, lib: string, version: string): Promise<void> {
  const artifacts = [
    ['org.opensearch', 'opensearch'],
    ['org.opensearch', 'opensearch-plugin-classloader'],
    ...MODULES.map((artifact) => ['org.opensearch.plugin', artifact]),
  ];
  const dependencies = artifacts.map(
    ([group, artifact]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  );
  const head =
    '<modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>local</artifactId><version>1</version><packaging>pom</packaging>';
  writeFileSync(join(stage, 'pom.xml'), `<project>${head}<dependencies>${dependencies.join('\n')}</dependencies></project>`);
  await mvn.run('copy-dependencies', 'includeScope=runtime', `outputDirectory=${lib}`);
  // The logging backend is optional in the published pom, so it is not among the dependencies; its version is that of its interface.
  const api = readdirSync(lib).find((name) => name.startsWith('log4j-api-'));
  if (api === undefined) throw new Error(`OpenSearch ${version} came without log4j-api`);
  const logging = api.slice('log4j-api-'.length, -'.jar'.length);
  await mvn.run('copy', `artifact=org.apache.logging.log4j:log4j-core:${logging}`, `outputDirectory=${lib}`);
}

function addModule(home: string, artifact: string, version: string): void {
  const name = artifact.replace(/-client$/, '');
  const module = join(home, 'modules', name);
  const jar = `${artifact}-${version}.jar`;
  mkdirSync(module, { recursive: true });
  renameSync(join(home, 'lib', jar), join(module, jar));
  const classes = zipEntries(join(module, jar)).map((entry) => entry.name);
  const plugins = classes.filter((path) => path.endsWith('Plugin.class') && !path.includes('$'));
  if (plugins.length !== 1) throw new Error(`${jar} holds ${plugins.length} plugin classes, one is expected`);
  const descriptor = {
    name,
    description: name,
    version,
    'opensearch.version': version,
    'java.version': '11',
    classname: plugins.join('').slice(0, -'.class'.length).replaceAll('/', '.'),
    'extended.plugins': EXTENDS_PAINLESS.has(name) ? 'lang-painless' : '',
    'has.native.controller': 'false',
  };
  writeFileSync(join(module, 'plugin-descriptor.properties'), properties(descriptor));
}

async function compileLauncher(home: string, java: JavaRange): Promise<void> {
  const javac = join(await jdkHome(java), 'bin', 'javac');
  const source = join(import.meta.dirname, 'OpenSearchNode.java');
  await command(javac, ['-proc:none', '-cp', join(home, 'lib', '*'), '-d', join(home, 'launcher'), source]);
}
