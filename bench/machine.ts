import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type as systemName } from 'node:os';

/** What the figures were measured on. */
export type Machine = {
  processor: string;
  memory: string;
  system: string;
  node: string;
  commit: string;
  date: string;
  /** Processes that wanted to run, on average over the last five minutes: more than there are processors, and times say little. */
  load: number;
};

export function describeMachine(): Machine {
  const all = cpus();
  return {
    processor: `${all.length} × ${(all[0]?.model ?? 'unknown').trim()}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${distribution()}, ${systemName()} ${release()}`,
    node: process.version,
    commit: git('rev-parse', '--short', 'HEAD'),
    date: new Date().toISOString().slice(0, 10),
    load: loadavg()[1]!,
  };
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown';
  } catch {
    return 'unknown';
  }
}

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
