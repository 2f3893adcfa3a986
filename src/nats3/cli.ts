import { Command, CommanderError } from 'commander';
import { exitCodeOf, failureText } from '../service/failure.ts';
import { archiveCommands } from './cli-archive.ts';
import { Client } from './cli-client.ts';
import { jobCommands, loadCreate, storeCreate, type Desk } from './cli-jobs.ts';
import type { Screen } from './cli-output.ts';
import { defaultServer } from './config.ts';
import { productVersion } from '../service/version.ts';

type CommonOptions = { server: string; token?: string; json?: boolean };

const usageExit = 2;

/** The CLI: every command but `server`. Returns the exit code: 0, 1 for a failure, 2 for wrong usage. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const program = commands();
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has written what it has to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageExit;
    const { token } = program.opts<CommonOptions>();
    process.stderr.write(failureText('nats3', error, token === undefined ? [] : [token]));
    return exitCodeOf(error);
  }
}

function commands(): Command {
  const { NATS3_SERVER: server = '', NATS3_TOKEN: token = '' } = process.env;
  const program = new Command('nats3')
    .description('Archives streams of NATS JetStream in S3 storage, and publishes them again.')
    .version(`nats3 ${version()}`, '-V, --version')
    .option('--server <url>', 'server to talk to (NATS3_SERVER)', server === '' ? defaultServer : server)
    .option('--token <token>', 'its token (NATS3_TOKEN)')
    .option('--json', 'print JSON')
    .showHelpAfterError('(--help tells more)')
    .configureHelp({ showGlobalOptions: true });
  // They may stand behind any command, too.
  const given = (): CommonOptions => program.opts<CommonOptions>();
  const screen = (): Screen => ({ out: process.stdout, err: process.stderr, json: given().json === true });
  const desk = (): Desk => {
    const { server: url, token: own = token === '' ? undefined : token } = given();
    return { client: new Client(url, own), screen: screen() };
  };
  // Answered by main.ts, before any of this is loaded.
  program.command('server').description('run the server (nats3 server --help)').allowUnknownOption();
  const store = program.command('store').description('jobs that archive');
  storeCreate(store, desk);
  jobCommands(store, 'store', desk);
  const load = program.command('load').description('jobs that publish again');
  loadCreate(load, desk);
  jobCommands(load, 'load', desk);
  archiveCommands(program.command('archive').description('what is in a bucket'), screen, desk);
  withoutExit(program);
  return program;
}

/** A wrong use is thrown, and is no exit of the process. */
function withoutExit(command: Command): void {
  command.exitOverride();
  for (const each of command.commands) withoutExit(each);
}

function version(): string {
  const text = productVersion();
  return text;
}
