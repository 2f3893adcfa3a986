import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { command } from '../provision/command.ts';
import { root } from './product.ts';

/** The time that everything shipped bears: of the commit, or SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/). */
export async function releaseTime(): Promise<Date> {
  return new Date(Number(process.env['SOURCE_DATE_EPOCH'] ?? (await commitTime())) * 1000);
}

const asked: { commitTime?: Promise<string> } = {};

/** One release has one time, whatever is committed while it is built. */
function commitTime(): Promise<string> {
  return (asked.commitTime ??= command('git', ['-C', root, 'log', '-1', '--format=%ct']).catch(() => '0'));
}

/** A directory as a .tar.gz whose bytes follow from its files alone, and its checksum in a file beside it. Needs GNU tar. */
export async function pack(directory: string, output: string, time: Date): Promise<void> {
  const tar = `${output}.tar`;
  const stable = [
    '--sort=name',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--format=ustar',
    `--mtime=@${time.getTime() / 1000}`,
  ];
  await command('tar', [...stable, '-C', dirname(directory), '-cf', tar, basename(directory)]);
  writeFileSync(output, await promisify(gzip)(readFileSync(tar), { level: 6 }));
  await command('rm', [tar]);
  writeFileSync(`${output}.sha256`, checksumLine(output, basename(output)));
}

/** As `sha256sum` writes and checks it. */
export function checksumLine(file: string, name: string): string {
  return `${createHash('sha256').update(readFileSync(file)).digest('hex')}  ${name}\n`;
}

export function megabytes(file: string): string {
  return `${(statSync(file).size / 1e6).toFixed(1)} MB`;
}
