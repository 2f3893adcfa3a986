import { gatewayRoutes, type Desk } from './admin-routes.ts';
import { GatewayError } from '../core/errors.ts';
import { runProgram } from '../service/run.ts';
import { gatewaySettings } from './config.ts';

const argv = process.argv.slice(2);

async function test(): Promise<void> {
  const { runTest } = await import('./dry-run.ts');
  process.exitCode = await runTest(argv.slice(1));
}

async function run(): Promise<void> {
  let desk: Desk | undefined;
  const started = (): Desk => {
    if (desk !== undefined) return desk;
    throw new GatewayError('NOT_STARTED', 'the gateway is still starting', { transient: true });
  };
  await runProgram({
    schema: gatewaySettings,
    async start(settings, frame) {
      const { Session } = await import('./session.ts');
      const session = new Session(settings, frame, argv);
      desk = session;
      return session.start();
    },
    async check(settings, frame) {
      const { checkGateway } = await import('./check.ts');
      return checkGateway(settings, frame);
    },
    routes(app, settings, frame) {
      gatewayRoutes(app, settings.adminToken, frame.version, {
        config: () => started().config(),
        reload: () => started().reload(),
        pause: () => started().pause(),
        resume: () => started().resume(),
      });
    },
  });
}

void (argv[0] === 'test' ? test() : run());
