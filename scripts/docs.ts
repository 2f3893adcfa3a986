import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { watcherMetrics } from '../src/es-watcher/metrics.ts';
import { nats3Settings } from '../src/nats3/config.ts';
import { nats3Metrics } from '../src/nats3/metrics.ts';
import { gatewayMetrics } from '../src/nats-gateway/metrics.ts';
import { writerMetrics } from '../src/es-writer/metrics.ts';
import { Metrics } from '../src/service/metrics.ts';
import type { Schema } from '../src/service/settings.ts';
import { configurationPage } from './docs/configuration.ts';
import { errorsPage } from './docs/errors.ts';
import { exampleFile, exampleToml } from './docs/example.ts';
import { metricsPage } from './docs/metrics.ts';
import { reliabilityPage } from './docs/reliability.ts';
import { schemas } from './docs/schemas.ts';

/**
 * Writes the reference pages and the example file from the code that they describe: `docs.ts`. `docs.ts --check` writes nothing and
 * fails when one of them is stale.
 */
const ROOT = join(import.meta.dirname, '..');
const METRICS = {
  'es-watcher': watcherMetrics,
  'nats-gateway': gatewayMetrics,
  'es-writer': writerMetrics,
  nats3: nats3Metrics,
};

function pages(): Map<string, string> {
  const metrics = Object.entries(METRICS).map(([program, define]) => {
    const frame = new Metrics(program);
    define(frame);
    return { program, metrics: frame.describe() };
  });
  return new Map([
    ['docs/configuration.md', configurationPage(schemas)],
    ['docs/metrics.md', metricsPage(metrics)],
    ['docs/errors.md', errorsPage(ROOT)],
    [
      'docs/reliability.md',
      reliabilityPage(read(join(ROOT, 'docs/reliability.jsonl')) ?? '', read(join(ROOT, 'docs/round-trips.jsonl')) ?? ''),
    ],
    ['config/example.yaml', exampleFile(schemas)],
    ['config/nats3.toml', exampleToml(nats3Settings as unknown as Schema)],
  ]);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

const stale = [...pages()].filter(([file, text]) => read(join(ROOT, file)) !== text);
if (process.argv.includes('--check')) {
  for (const [file] of stale) console.error(`${file} is stale: run scripts/node.sh scripts/docs.ts`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const [file, text] of stale) {
    mkdirSync(dirname(join(ROOT, file)), { recursive: true });
    writeFileSync(join(ROOT, file), text);
    console.log(`${file} written`);
  }
}
