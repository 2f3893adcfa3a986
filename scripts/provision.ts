import { describeError } from '../src/core/errors.ts';
import { cacheDir, install, type InstallEvents } from './provision/cache.ts';
import { composeRecipe, hadolintRecipe, helmRecipe, promtoolRecipe } from './provision/deploy-tools.ts';
import { ELASTICSEARCH_LINES, elasticsearchRecipe, elasticsearchRelease } from './provision/elasticsearch.ts';
import { jdkHome } from './provision/java.ts';
import { NATS_VERSION, natsRecipe } from './provision/nats.ts';
import { OPENSEARCH_LINES, opensearchRecipe, opensearchRelease } from './provision/opensearch.ts';
import { step } from './provision/progress.ts';
import { s3Recipe, VERSITYGW_VERSION } from './provision/s3.ts';

type Item = { key: string; title: string; get: (events: InstallEvents) => Promise<unknown> };

const ITEMS: Item[] = [
  { key: 'nats', title: `nats-server ${NATS_VERSION}`, get: (events) => install(natsRecipe, events) },
  ...ELASTICSEARCH_LINES.map((line): Item => {
    const { version, java } = elasticsearchRelease(line);
    const get = (events: InstallEvents) => jdkHome(java, events).then(() => install(elasticsearchRecipe(line), events));
    return { key: `elasticsearch/${line}`, title: `Elasticsearch ${version}`, get };
  }),
  ...OPENSEARCH_LINES.map((line): Item => {
    const { version, java } = opensearchRelease(line);
    const get = (events: InstallEvents) => jdkHome(java, events).then(() => install(opensearchRecipe(line), events));
    return { key: `opensearch/${line}`, title: `OpenSearch ${version}`, get };
  }),
  { key: 's3', title: `versitygw ${VERSITYGW_VERSION} (S3)`, get: (events) => install(s3Recipe, events) },
  ...[helmRecipe, hadolintRecipe, promtoolRecipe, composeRecipe].map((tool): Item => ({
    key: tool.name,
    title: `${tool.name} (judges deploy/)`,
    get: (events) => install(tool, events),
  })),
];

/**
 * Puts servers into the cache and shows a line for each; all of them without `keys` (`nats`, `s3`, `elasticsearch/8.19`, …).
 * Returns at once for what is there. Throws a GatewayError with a hint where a prerequisite is missing.
 */
export async function provision(keys: string[] = ITEMS.map((item) => item.key)): Promise<void> {
  const unknown = keys.filter((key) => !ITEMS.some((item) => item.key === key));
  if (unknown.length > 0) throw new Error(`unknown: ${unknown.join(' ')}; there are ${ITEMS.map((item) => item.key).join(' ')}`);
  const wanted = ITEMS.filter((item) => keys.includes(item.key));
  for (const [index, item] of wanted.entries()) await step(`[${index + 1}/${wanted.length}] ${item.title}`, item.get);
}

if (import.meta.main) {
  const keys = process.argv.slice(2);
  process.stdout.write(`servers are kept in ${cacheDir('servers')}\n`);
  try {
    await provision(...(keys.length > 0 ? [keys] : []));
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n`);
    process.exitCode = 1;
  }
}
