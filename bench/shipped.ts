import type { ProgramOptions } from '../scripts/demo/program.ts';
import { bundle } from '../scripts/release/bundle.ts';
import { nodeFlags } from '../scripts/release/executable.ts';

/** What is measured is what is shipped: the bundle that executables and npm package hold, under the flags of the executables. */
export async function shipped(name: ProgramOptions['name']): Promise<Pick<ProgramOptions, 'executable' | 'command'>> {
  const { file } = await bundle();
  return { executable: process.execPath, command: [...nodeFlags, file, name] };
}

/** As the units in deploy/ set it. */
export const shippedEnvironment = { MALLOC_ARENA_MAX: '1' };

/** With BENCH_PROFILES set, each program writes a CPU profile into that directory when it ends. */
export function profiling(): Record<string, string> {
  const { BENCH_PROFILES: directory } = process.env;
  return directory === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-interval=500 --cpu-prof-dir=${directory}` };
}
