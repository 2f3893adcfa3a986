import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { InstallEvents } from './cache.ts';
import { aptGet, canAptGet, command, isExecutable, missing, which } from './command.ts';

/** A range of Java releases, both ends included. */
export type JavaRange = { min: number; max: number };

/** Home of the oldest installed JDK in the range; on a Debian machine where we are root, a missing one is installed. */
export async function jdkHome(range: JavaRange, events: InstallEvents = {}): Promise<string> {
  const found = installedJdk(range);
  if (found !== undefined) return found;
  const hint =
    `install a JDK ${range.min} to ${range.max} (Debian: apt-get install openjdk-${range.min}-jdk-headless; ` +
    'macOS: brew install openjdk), or name one with JAVA_HOME';
  if (!canAptGet()) throw missing(`no JDK between ${range.min} and ${range.max} found`, hint);
  events.onStage?.('/var/cache/apt/archives');
  await command('apt-get', ['update', '-q']);
  const listed = await command('apt-cache', ['search', '--names-only', '^openjdk-[0-9]+-jdk-headless$']);
  const releases = [...listed.matchAll(/^openjdk-(\d+)-/gm)].map((match) => Number(match[1]));
  const wanted = releases.filter((release) => release >= range.min && release <= range.max).sort((a, b) => a - b)[0];
  if (wanted !== undefined) await aptGet(`openjdk-${wanted}-jdk-headless`);
  const installed = installedJdk(range);
  if (installed === undefined)
    throw missing(`no JDK between ${range.min} and ${range.max} found, and Debian offers none here`, hint);
  return installed;
}

/** Same lookup without installing anything. A JAVA_HOME in the range is preferred. */
function installedJdk(range: JavaRange): string | undefined {
  const own = process.env['JAVA_HOME'];
  const inPath = which('java');
  const candidates = [
    ...below('/usr/lib/jvm'),
    ...below('/opt'),
    ...below('/Library/Java/JavaVirtualMachines').map((home) => join(home, 'Contents', 'Home')),
    ...below('/opt/homebrew/opt').map((home) => join(home, 'libexec', 'openjdk.jdk', 'Contents', 'Home')),
    ...below(join(homedir(), '.sdkman', 'candidates', 'java')),
    ...(inPath === undefined ? [] : [dirname(dirname(inPath))]),
  ];
  const fits = (home: string) => {
    const release = releaseOf(home);
    return release !== undefined && release >= range.min && release <= range.max;
  };
  if (own && fits(own)) return own;
  return candidates.filter(fits).sort((a, b) => (releaseOf(a) ?? 0) - (releaseOf(b) ?? 0))[0];
}

/** Java's feature release, from the `release` file: no JVM has to start. Undefined where there is no full JDK. */
function releaseOf(home: string): number | undefined {
  const file = join(home, 'release');
  if (!isExecutable(join(home, 'bin', 'java')) || !isExecutable(join(home, 'bin', 'javac')) || !existsSync(file))
    return undefined;
  const found = /^JAVA_VERSION="(?:1\.)?(\d+)/m.exec(readFileSync(file, 'utf8'));
  return found === null ? undefined : Number(found[1]);
}

function below(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
}

const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1';

/** Maven with a local repository inside the stage: nothing lands in the user's own, and an interrupted download goes on. */
export type Maven = { run: (goal: string, ...properties: string[]) => Promise<void>; repository: string };

export async function maven(stage: string): Promise<Maven> {
  let program = which('mvn');
  if (program === undefined && canAptGet()) {
    await aptGet('maven');
    program = which('mvn');
  }
  if (program === undefined) {
    throw missing(
      'Maven (mvn) is not in PATH; it downloads the search servers',
      'Debian: apt-get install maven; macOS: brew install maven',
    );
  }
  const path = program;
  const repository = join(stage, 'repository');
  const fixed = ['-q', '-B', '--strict-checksums', '-Dstyle.color=never', `-Dmaven.repo.local=${repository}`];
  return {
    repository,
    run: async (goal, ...properties) => {
      await command(path, [...fixed, `${DEPENDENCY_PLUGIN}:${goal}`, ...properties.map((property) => `-D${property}`)], {
        cwd: stage,
      });
    },
  };
}
