import { isExecutable, which } from '../provision/command.ts';

/** The path of a program of the system, also of one for administrators, which need not be in PATH. */
export function systemProgram(name: string): string | undefined {
  return which(name) ?? ['/usr/sbin', '/sbin'].map((directory) => `${directory}/${name}`).find(isExecutable);
}
