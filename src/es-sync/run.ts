import { runProgram } from '../service/run.ts';
import { syncSettings } from './config.ts';

/** `es-sync run`. */
void runProgram({
  schema: syncSettings,
  async start(settings, frame) {
    const { Sync } = await import('./sync.ts');
    const sync = await Sync.open(settings, frame);
    frame.report(sync.probes);
    return { stop: () => sync.stop(), done: sync.run() };
  },
  async check(settings, frame) {
    const { checkSync } = await import('./check.ts');
    return checkSync(settings, frame.log);
  },
});
