import { execFileSync, spawnSync } from 'node:child_process';
import { missing, which } from '../provision/command.ts';

const UNSHARE = ['unshare', '-U', '--map-user=1000', '--map-group=1000'];

/**
 * Elasticsearch refuses to run as root. As root this puts a command into a user namespace in which we are user 1000 (files stay
 * ours, the process id stays the same); where namespaces are not allowed, the command runs as user 1000, who then gets `dataDir`.
 */
export function unprivileged(command: string[], dataDir: string): string[] {
  if (process.getuid?.() !== 0) return command;
  const [program = '', ...flags] = UNSHARE;
  if (spawnSync(program, [...flags, 'true'], { stdio: 'ignore' }).status === 0) return [...UNSHARE, ...command];
  if (which('setpriv') === undefined) {
    throw missing(
      'Elasticsearch does not run as root, and neither user namespaces nor setpriv are there',
      'run as an ordinary user',
    );
  }
  execFileSync('chown', ['-R', '1000:1000', dataDir]);
  return ['setpriv', '--reuid', '1000', '--regid', '1000', '--clear-groups', ...command];
}
