import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { GatewayError } from '../core/errors.ts';
import { configFileOf, pidFileOf } from './embedded-config.ts';

export type StoreLock = { release(): void };

const goneWithinMs = 5_000;
const lookEveryMs = 20;

/**
 * Takes the store directory for this gateway alone. The lock is one of the kernel, held through SQLite: it goes with the process, however that
 * ends, so none is ever stale. Throws STORE_IN_USE, STORE_UNWRITABLE.
 */
export function lockStore(storeDir: string): StoreLock {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(storeDir, { recursive: true });
    database = new DatabaseSync(join(storeDir, 'gateway.lock'), { timeout: 0 });
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;');
    const held = database;
    return { release: () => held.close() };
  } catch (error) {
    database?.close();
    const text = error instanceof Error ? error.message : String(error);
    if (/locked|busy/i.test(text)) {
      throw new GatewayError('STORE_IN_USE', `another process runs its NATS server on ${storeDir}`, {
        hint: 'stop it, or give this one a directory of its own: --store-dir (STORE_DIR), of es-sync --data-dir (DATA_DIR)',
        cause: error,
      });
    }
    throw new GatewayError('STORE_UNWRITABLE', `the store directory ${storeDir} cannot be used: ${text}`, {
      hint: 'make it writable for this user, or set --store-dir (STORE_DIR) to a directory that is',
      cause: error,
    });
  }
}

/** Ends a server that an earlier gateway has left on the store. To be called with the lock held. Answers its process id, if there was one. */
export async function endLeftover(storeDir: string): Promise<number | undefined> {
  const pid = readPid(pidFileOf(storeDir));
  // The number may have gone to another program since.
  const leftover = pid !== undefined && commandOf(pid).includes(configFileOf(storeDir));
  if (leftover) {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      signalProcess(pid, signal);
      for (let waited = 0; waited < goneWithinMs && signalProcess(pid, 0); waited += lookEveryMs) await wait(lookEveryMs);
      if (!signalProcess(pid, 0)) break;
    }
  }
  rmSync(pidFileOf(storeDir), { force: true });
  return leftover ? pid : undefined;
}

export function readPid(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8').trim());
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** The command line of a process on Linux; empty where it cannot be known, and then nobody is ended. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** False when there is no such process, or none of ours. */
export function signalProcess(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return signal !== 0 || !/\) [ZX] /.test(statOf(pid));
  } catch {
    return false;
  }
}

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return '';
  }
}
