import { UsageError } from '../core/errors.ts';
import { didYouMean } from '../service/suggest.ts';
import { programs } from './programs.ts';

const about: Readonly<Record<string, string>> = {
  run: 'follow one cluster with another: watcher, NATS server and writer in one process',
  'es-watcher': 'follow every change of a cluster and publish it to NATS JetStream',
  'nats-gateway': 'filter, route and transform changes between two streams',
  'es-writer': 'apply the changes of a stream to a cluster',
  nats3: 'archive streams to S3 storage and load them back',
};

const names = ['run', ...Object.keys(programs)];

/** What `es-sync` alone prints. */
export function commandsText(version: string): string {
  const lines = names.map((name) => `  ${name.padEnd(14)}${about[name]}`);
  return [
    `es-sync ${version}: keeps an Elasticsearch or OpenSearch cluster in step with another one through NATS JetStream.`,
    '',
    'Usage: es-sync COMMAND [flags]',
    '',
    ...lines,
    '',
    'es-sync COMMAND --help lists the flags of a command. A link to this program that has the name of a program runs that program.',
    '',
  ].join('\n');
}

export function unknownCommand(given: string): UsageError {
  return new UsageError(
    'UNKNOWN_COMMAND',
    `unknown command ${given}${didYouMean(given, names)}`,
    'es-sync --help lists the commands',
  );
}
