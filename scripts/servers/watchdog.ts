import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A shell that outlives us by a moment: it reads what it is responsible for, and when its input ends, because we ended in whatever
 * way (SIGKILL included), it kills those process groups and removes those directories.
 */
const SCRIPT = `
groups= directories=
without() { kept=; for one in $1; do [ "$one" = "$2" ] || kept="$kept $one"; done; }
while read -r verb value; do
  case $verb in
    kill) groups="$groups $value" ;;
    spare) without "$groups" "$value"; groups=$kept ;;
    remove) directories="$directories $value" ;;
    keep) without "$directories" "$value"; directories=$kept ;;
  esac
done
trap '' HUP INT TERM
for group in $groups; do kill -9 "-$group" 2>/dev/null; done
for directory in $directories; do rm -rf "$directory" || { sleep 1; rm -rf "$directory"; }; done 2>/dev/null
`;

let running: ChildProcess | undefined;

function tell(line: string): void {
  if (running === undefined) {
    running = spawn('/bin/sh', ['-c', SCRIPT], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    running.stdin?.on('error', () => undefined);
    running.unref();
    const pipe = running.stdin as (NodeJS.WritableStream & { unref?: () => void }) | null;
    pipe?.unref?.();
  }
  running.stdin?.write(`${line}\n`);
}

/** Has the process group killed when this process ends. */
export function killAtEnd(group: number): void {
  tell(`kill ${group}`);
}

/** Takes a process group off the list: it has ended, and its number may be given to another. */
export function spareAtEnd(group: number): void {
  tell(`spare ${group}`);
}

/** Takes a temporary directory off the list: it stays. */
export function keepAtEnd(directory: string): void {
  tell(`keep ${directory}`);
}

/** A new empty directory that is removed when this process ends. */
export function temporaryDirectory(purpose: string): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), `es-sync-${purpose}-`)));
  if (/\s/.test(directory)) throw new Error(`TMPDIR must not hold white space: ${directory}`);
  // passable for the user under whom Elasticsearch may have to run; its content stays unlisted
  chmodSync(directory, 0o711);
  tell(`remove ${directory}`);
  return directory;
}
