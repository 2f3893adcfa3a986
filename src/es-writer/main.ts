import { runProgram } from '../service/run.ts';
import { writerSettings } from './config.ts';

// Not awaited, as the executable is a CommonJS bundle, which has no top-level await; it never rejects.
void runProgram({
  schema: writerSettings,
  async start(settings, frame) {
    const { EsWriter } = await import('./writer.ts');
    const writer = await EsWriter.open(settings, frame.log, frame.metrics);
    frame.report(writer.probes);
    return { stop: () => writer.stop(), done: writer.run() };
  },
  async check(settings, frame) {
    const { checkWriter } = await import('./check.ts');
    return checkWriter(settings, frame.log);
  },
});
