import { runProgram } from '../service/run.ts';
import { watcherSettings } from './config.ts';

// Not awaited, as the executable is a CommonJS bundle, which has no top-level await; it never rejects.
void runProgram({
  schema: watcherSettings,
  async start(settings, frame) {
    const { Watcher } = await import('./watcher.ts');
    const watcher = await Watcher.open(settings, frame.log, frame.metrics);
    frame.report(watcher.probes);
    return { stop: () => watcher.stop(), done: watcher.run() };
  },
  async check(settings, frame) {
    const { checkWatcher } = await import('./check.ts');
    return checkWatcher(settings, frame.log);
  },
});
