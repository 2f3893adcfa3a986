import { basename } from 'node:path';
import { failureText, exitCodeOf } from '../service/failure.ts';
import { productVersion } from '../service/version.ts';
import { commandsText, unknownCommand } from './commands.ts';
import { programs } from './programs.ts';

/**
 * One executable for all programs: by the name it is called by (a link `es-watcher`), else by its first argument. Each program reads
 * `process.argv` as if it were alone.
 */
async function main(): Promise<void> {
  const called = programs[basename(process.argv0)];
  if (called !== undefined) return void (await called());
  const [command] = process.argv.splice(2, 1);
  if (command === undefined || command === '--help' || command === '-h') return print(commandsText(productVersion()));
  if (command === '--version' || command === '-V') return print(`es-sync ${productVersion()}\n`);
  if (command === 'run') return void (await import('./run.ts'));
  const program = programs[command];
  if (program !== undefined) return void (await program());
  const error = unknownCommand(command);
  process.stderr.write(failureText('es-sync', error));
  process.exitCode = exitCodeOf(error);
}

function print(text: string): void {
  process.stdout.write(text);
}

void main();
