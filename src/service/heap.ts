import { setFlagsFromString } from 'node:v8';

/** How far the heap grows beyond what is alive before old garbage is collected, in percent, unless a program says otherwise. */
const growthPercentUsual = 30;

/**
 * By default V8 lets the old generation double before it looks: documents on their way live just long enough to get there, and a program then
 * holds 50 MB and more of garbage under load (measured, bench/halves.ts). Set while it runs, since as a flag of the command line it would make
 * V8 turn away the code that Node has compiled beforehand.
 */
export function keepHeapSmall(growthPercent = growthPercentUsual): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`);
}
