import type { Server } from './server.ts';
import { runProgram } from '../service/run.ts';
import { nats3Settings } from './config.ts';

const argv = process.argv.slice(2);

async function serve(): Promise<void> {
  let server: Server | undefined;
  // The HTTP routes are few lines, and the server's own modules are loaded while NATS is asked.
  const { apiRoutes } = await import('./routes.ts');
  await runProgram(
    {
      schema: nats3Settings,
      // What it holds is in buffers; those count as growth, and the small heap beside them would be gone through again and again.
      heapGrowthPercent: 100,
      async start(settings, frame) {
        const { Server } = await import('./server.ts');
        server = new Server(settings, frame);
        return server.start();
      },
      async check(settings) {
        const { checkServer } = await import('./check.ts');
        return checkServer(settings);
      },
      routes: (app, settings, frame) => apiRoutes(app, settings.token, frame.version, () => server?.service),
    },
    argv.slice(1),
  );
}

async function command(): Promise<void> {
  const { runCli } = await import('./cli.ts');
  process.exitCode = await runCli(argv);
}

void (argv[0] === 'server' ? serve() : command());
