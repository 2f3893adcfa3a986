import { existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { describeError } from '../../src/core/errors.ts';
import { Report } from '../../src/service/check-report.ts';
import type { CheckReport } from '../../src/service/run.ts';
import { clearedEnvironment, command } from '../provision/command.ts';
import { checksumLine, releaseTime } from './archive.ts';
import { muslPlatform, platform } from './artefacts.ts';
import { releaseNotes } from './changelog.ts';
import { commandNames, distPath, product, root } from './product.ts';
import { faultsOfSbom } from './sbom.ts';
import { runGateway } from './trial.ts';

export type CheckOptions = {
  /** The changelog may still have it under Unreleased. */
  unreleased: boolean;
  /** Builds once more, elsewhere, and compares the bytes. */
  twice: boolean;
};

const wanted = ['README.md', 'CHANGELOG.md', 'LICENSE', 'SHA256SUMS', 'sbom.cdx.json', 'bin/nats-server', 'config/example.yaml']
  .concat(['completions/bash/es-sync', 'completions/zsh/_es-sync', 'completions/fish/es-sync.fish', 'licences/README.md'])
  .concat(commandNames.map((name) => `bin/${name}`));

/** Looks at what `make tarball` has left below dist/, as somebody who downloads it would. */
export async function checkRelease({ unreleased, twice }: CheckOptions): Promise<CheckReport> {
  const report = new Report();
  const home = await mkdtemp(join(tmpdir(), 'release-check-'));
  const look = async (what: string, work: () => Promise<string> | string): Promise<void> => {
    try {
      report.say(true, `${what.padEnd(16)}${await work()}`);
    } catch (error) {
      report.say(false, `${what.padEnd(16)}${describeError(error)}`);
    }
  };
  await look('version', versionsAgree);
  await look('changelog', () => {
    const { released, text } = releaseNotes();
    if (text.split('\n').length < 5) throw new Error('there is nothing to read about this version');
    if (!released && !unreleased) throw new Error(`CHANGELOG.md has no part "## ${product.version}"`);
    return released ? `has ${product.version}` : 'has it as unreleased';
  });
  for (const each of [platform, ...(process.arch === 'x64' ? [muslPlatform] : [])]) {
    const tree = join(home, `${product.name}-${product.version}-${each}`);
    await look(each, () => unpacked(home, `${basename(tree)}.tar.gz`));
    await look('  files', () => complete(tree));
    await look('  SBOM', () => sbomOf(tree));
    // The other libc is not on this machine: test/e2e/release.test.ts runs it where it is at home.
    if (each === platform) {
      await look('  versions', () => versionsOf((name) => join(tree, 'bin', name)));
      await look('  runs', () => runGateway(join(tree, 'bin', 'nats-gateway'), join(home, 'run')));
    }
  }
  await look('npm package', () => npmInstalled(join(home, 'npm')));
  if (twice) await look('reproducible', () => builtAgain(join(home, 'again')));
  rmSync(home, { recursive: true });
  return report.done();
}

function versionsAgree(): string {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { version: string };
  if (lock.version !== product.version) throw new Error(`package-lock.json has ${lock.version}, package.json ${product.version}`);
  return product.version;
}

async function unpacked(home: string, archive: string): Promise<string> {
  const sum = readFileSync(distPath(`${archive}.sha256`), 'utf8');
  if (sum !== checksumLine(distPath(archive), archive)) throw new Error('the checksum is not that of the archive');
  await command('tar', ['-C', home, '-xzf', distPath(archive)]);
  return 'unpacks, checksum right';
}

function complete(tree: string): string {
  const lacking = wanted.filter((file) => !existsSync(join(tree, file)));
  if (lacking.length > 0) throw new Error(`there is no ${lacking.join(', ')}`);
  const sums = readFileSync(join(tree, 'SHA256SUMS'), 'utf8').trimEnd().split('\n');
  const wrong = sums.map((line) => line.slice(66)).filter((file, at) => checksumLine(join(tree, file), file) !== `${sums[at]}\n`);
  if (wrong.length > 0) throw new Error(`not as SHA256SUMS says: ${wrong.join(', ')}`);
  return `${sums.length} files as SHA256SUMS says`;
}

async function sbomOf(tree: string): Promise<string> {
  const text = readFileSync(join(tree, 'sbom.cdx.json'), 'utf8');
  const faults = faultsOfSbom(text);
  const { components } = JSON.parse(text) as { components: { name: string; version: string }[] };
  const texts = await readdir(join(tree, 'licences'));
  const untold = components.filter(({ name, version }) => !texts.includes(`${name.replaceAll('/', '__')}@${version}.txt`));
  faults.push(...untold.map(({ name }) => `no licence text of ${name}`));
  if (faults.length > 0) throw new Error(faults.join('; '));
  return `${components.length} components, a licence text each`;
}

/** Without any environment: no Node, and nothing else, is to be found by accident. */
async function versionsOf(pathOf: (name: string) => string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  for (const name of commandNames) {
    const said = await command('/bin/sh', ['-c', '"$0" --version 2>&1', pathOf(name)], {
      env: { ...clearedEnvironment(), ...env },
    });
    if (said !== `${name} ${product.version}\n`) throw new Error(`${name} --version says ${JSON.stringify(said)}`);
  }
  return commandNames.join(', ');
}

async function npmInstalled(home: string): Promise<string> {
  await mkdir(home);
  const archive = distPath(`${product.name}-${product.version}.tgz`);
  const listed = (await command('tar', ['-tzf', archive])).split('\n');
  if (listed.some((file) => file.endsWith('.ts')))
    throw new Error('it holds TypeScript, which Node does not run below node_modules');
  await command('npm', ['install', '--prefix', home, '--offline', '--no-audit', '--no-fund', '--loglevel=error', archive]);
  const path = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;
  return versionsOf((name) => join(home, 'node_modules', '.bin', name), { PATH: path });
}

async function builtAgain(elsewhere: string): Promise<string> {
  const script = join(root, 'scripts', 'release.ts');
  const time = String((await releaseTime()).getTime() / 1000);
  await command(process.execPath, [script, 'tarball'], { env: { DIST: elsewhere, SOURCE_DATE_EPOCH: time } });
  const archives = (await readdir(elsewhere)).filter((file) => /\.(tar\.gz|tgz)$/.test(file));
  const differing = archives.filter((file) => checksumLine(join(elsewhere, file), file) !== checksumLine(distPath(file), file));
  if (differing.length > 0) throw new Error(`built twice, other bytes: ${differing.join(', ')}`);
  return `${archives.length} archives, the same bytes when built again elsewhere`;
}
