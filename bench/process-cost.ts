import { readFileSync } from 'node:fs';

/** What a process has used since it began. */
export type Cost = { cpuMs: number; peakBytes: number };

/** Times in /proc are in units of USER_HZ, which Linux fixes at 100 a second for programs. */
const msPerTick = 10;

/** Throws where there is no such process, or no /proc. */
export function costOf(pid: number): Cost {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // the second field, the command, may hold spaces and parentheses; utime and stime are fields 14 and 15
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  if (peak === undefined) throw new Error(`process ${pid} has ended`);
  return { cpuMs: (Number(fields[11]) + Number(fields[12])) * msPerTick, peakBytes: Number(peak) * 1024 };
}

/** Resident bytes of a process, now. */
export function memoryOf(pid: number): number {
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  if (resident === undefined) throw new Error(`process ${pid} has ended`);
  return Number(resident) * 1024;
}

/** Looks at a process that ends by itself, until it has; what was seen last. */
export function watchCost(pid: number): () => Cost {
  let last: Cost = { cpuMs: 0, peakBytes: 0 };
  const look = (): void => {
    try {
      last = costOf(pid);
    } catch {
      clearInterval(timer);
    }
  };
  const timer = setInterval(look, 20);
  return () => {
    clearInterval(timer);
    return last;
  };
}
