import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { after } from 'node:test';
import { deflateRawSync, crc32 } from 'node:zlib';
import { cacheDir, install, withLock } from '../../scripts/provision/cache.ts';
import { unzip, zipEntries } from '../../scripts/provision/zip.ts';

const directory = mkdtempSync(join(tmpdir(), 'provision-test-'));
process.env['ES_SYNC_CACHE'] = join(directory, 'cache');
after(() => rmSync(directory, { recursive: true, force: true }));

const module = join(import.meta.dirname, '../../scripts/provision/cache.ts');

test('two installations of the same thing at once build it once', async () => {
  let builds = 0;
  const recipe = {
    name: 'thing-1',
    build: async (stage: string) => {
      builds += 1;
      writeFileSync(join(stage, 'home', 'file'), 'content');
    },
  };
  const homes = await Promise.all([install(recipe), install(recipe)]);
  assert.deepEqual(homes, [cacheDir('servers', 'thing-1'), cacheDir('servers', 'thing-1')]);
  assert.equal(builds, 1);
  assert.equal(readFileSync(join(homes[0], 'file'), 'utf8'), 'content');
  assert.equal(existsSync(cacheDir('stage', 'thing-1')), false);
});

test('a failed installation leaves nothing that looks complete, and the next one starts clean', async () => {
  const name = 'thing-2';
  const failing = {
    name,
    build: async (stage: string) => {
      writeFileSync(join(stage, 'home', 'half'), '');
      throw new Error('no network');
    },
  };
  await assert.rejects(install(failing), /no network/);
  assert.equal(existsSync(cacheDir('servers', name)), false);
  // what a killed installation leaves: the downloads are kept, the rest is not
  mkdirSync(join(cacheDir('stage', name), 'home'), { recursive: true });
  mkdirSync(join(cacheDir('stage', name), 'repository'), { recursive: true });
  writeFileSync(join(cacheDir('stage', name), 'home', 'half'), '');
  const seen: boolean[] = [];
  await install({
    name,
    build: async (stage) => {
      seen.push(existsSync(join(stage, 'home', 'half')), existsSync(join(stage, 'repository')));
    },
  });
  assert.deepEqual(seen, [false, true]);
});

test('the lock of a process that was killed is free', async () => {
  const script = `
    import { withLock } from ${JSON.stringify(module)};
    await withLock('taken', async () => { console.log('held'); setInterval(() => {}, 1000); await new Promise(() => {}); });`;
  const holder = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  after(() => holder.kill('SIGKILL'));
  await once(createInterface(holder.stdout), 'line');
  const waits: string[] = [];
  const waited = withLock(
    'taken',
    async () => 'mine',
    (owner) => {
      waits.push(owner);
      holder.kill('SIGKILL');
    },
  );
  assert.equal(await waited, 'mine');
  assert.deepEqual(waits, [String(holder.pid)]);
});

/** A zip file of one entry, as small as the format allows. */
function zipOf(name: string, content: string, crc = crc32(content)): Buffer {
  const packed = deflateRawSync(content);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(8, 8);
  header.writeUInt16LE(name.length, 26);
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(8, 10);
  entry.writeUInt32LE(crc, 16);
  entry.writeUInt32LE(packed.length, 20);
  entry.writeUInt32LE(content.length, 24);
  entry.writeUInt16LE(name.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(46 + name.length, 12);
  end.writeUInt32LE(30 + name.length + packed.length, 16);
  return Buffer.concat([header, Buffer.from(name), packed, entry, Buffer.from(name), end]);
}

function place(name: string): { to: string; mode: number } {
  return { to: name, mode: 0o644 };
}

test('unzip writes what it is told to, and notices damage, cuts and names that lead outside', () => {
  const file = join(directory, 'some.zip');
  writeFileSync(file, zipOf('a/b.txt', 'hello'));
  assert.deepEqual(
    zipEntries(file).map((entry) => entry.name),
    ['a/b.txt'],
  );
  assert.equal(unzip(file, join(directory, 'out'), place), 1);
  assert.equal(readFileSync(join(directory, 'out', 'a', 'b.txt'), 'utf8'), 'hello');
  writeFileSync(file, zipOf('a.txt', 'hello', 1));
  assert.throws(() => unzip(file, join(directory, 'out'), place), /damaged/);
  writeFileSync(file, zipOf('../a.txt', 'hello'));
  assert.throws(() => unzip(file, join(directory, 'out'), place), /unsafe/);
  writeFileSync(file, zipOf('a.txt', 'hello').subarray(0, -5));
  assert.throws(() => unzip(file, join(directory, 'out'), place), /cut off/);
});
