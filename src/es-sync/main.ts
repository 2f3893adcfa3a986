import { basename } from 'node:path';
import { failureText, exitCodeOf } from '../service/failure.ts';
import { productVersion } from '../service/version.ts';
import { commandsText, unknownCommand } from './commands.ts';
import { programs } from './programs.ts';

/** Not for users: scripts/release/compiled-code.ts asks for it. */
const rehearsal = '--rehearse';

/**
 * One executable for all programs: by the name it is called by (a link `es-watcher`, or a launcher of that name), else by its first
 * argument. Each program reads `process.argv` as if it were alone.
 */
async function main(): Promise<void> {
  const called = programs[basename(process.argv[1] ?? '', '.cjs')];
  if (called !== undefined) return void (await called());
  const [command] = process.argv.splice(2, 1);
  if (command === undefined || command === '--help' || command === '-h') return print(commandsText(productVersion()));
  if (command === '--version' || command === '-V') return print(`es-sync ${productVersion()}\n`);
  if (command === 'run') return void (await import('./run.ts'));
  if (command === rehearsal) return (await import('./rehearsal.ts')).rehearse();
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
