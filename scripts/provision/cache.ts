import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

/** Where servers, a newer Node and the development stack live: outside the checkout, shared by all checkouts of a user. */
export function cacheDir(...parts: string[]): string {
  const base =
    process.env['ES_SYNC_CACHE'] || join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'es-sync-gateway');
  return join(base, ...parts);
}

/**
 * Runs `work` while no other process of this machine holds the lock `name`. The lock is SQLite's own file lock: the kernel
 * lets go of it when its holder dies in whatever way, so there is never a stale lock to take over.
 * `onWait` is called once, with the holder's process id, when somebody else is at it.
 */
export async function withLock<T>(name: string, work: () => Promise<T>, onWait?: (holder: string) => void): Promise<T> {
  await mkdir(cacheDir('locks'), { recursive: true });
  const holderFile = cacheDir('locks', `${name}.pid`);
  const database = new DatabaseSync(cacheDir('locks', `${name}.lock`), { timeout: 0 });
  try {
    let told = false;
    while (!begun(database)) {
      if (!told) onWait?.(existsSync(holderFile) ? readFileSync(holderFile, 'utf8') : 'unknown');
      told = true;
      await sleep(200);
    }
    held.add(database);
    writeFileSync(holderFile, String(process.pid));
    return await work();
  } finally {
    held.delete(database);
    database.close();
  }
}

/** A database that nobody can reach any more is closed by the garbage collector, and with it goes its lock: these stay reachable. */
const held = new Set<DatabaseSync>();

function begun(database: DatabaseSync): boolean {
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && /locked|busy/i.test(error.message)) return false;
    throw error;
  }
}

/** One thing to be put into the cache. */
export type Recipe = {
  /** directory name in the cache, version included: its presence means that it is complete */
  name: string;
  /** fills `stage`, and leaves in `stage`/home what is to be kept */
  build: (stage: string) => Promise<void>;
};

export type InstallEvents = {
  onWait?: (holder: string) => void;
  onStage?: (stage: string) => void;
};

/**
 * Returns the recipe's directory, building it first when it is not there. A build happens in a stage directory and appears by one
 * rename, so an interrupted one never looks complete. The stage's download repository outlives a kill: the next try resumes from it.
 */
export async function install(recipe: Recipe, events: InstallEvents = {}): Promise<string> {
  const home = cacheDir('servers', recipe.name);
  if (existsSync(home)) return home;
  return withLock(
    recipe.name,
    async () => {
      if (existsSync(home)) return home;
      const stage = cacheDir('stage', recipe.name);
      await mkdir(join(stage, 'home'), { recursive: true });
      await mkdir(cacheDir('servers'), { recursive: true });
      for (const entry of await readdir(stage)) {
        if (entry !== 'repository') await rm(join(stage, entry), { recursive: true, force: true });
      }
      await mkdir(join(stage, 'home'));
      events.onStage?.(stage);
      try {
        await recipe.build(stage);
        renameSync(join(stage, 'home'), home);
      } finally {
        await rm(stage, { recursive: true, force: true });
      }
      return home;
    },
    events.onWait,
  );
}

/** Bytes of all files below `directory`; files that vanish meanwhile count as nothing. */
export async function sizeOf(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    bytes += await stat(join(entry.parentPath, entry.name)).then(
      (file) => file.size,
      () => 0,
    );
  }
  return bytes;
}
