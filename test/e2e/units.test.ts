import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { command } from '../../scripts/provision/command.ts';
import { freePort } from '../../scripts/servers.ts';
import { archiveStream, awsEnvironment } from '../support/archive-stage.ts';
import { BootedSystem } from '../support/booted.ts';
import { Stage } from '../support/deployed.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { sharedNats, sharedS3 } from '../support/servers.ts';
import { until } from '../support/until.ts';

/** The units of deploy/systemd under a systemd that is really running, sandbox and all, between real clusters. */
const seed = seedOfRun('units');
const random = new Random(seed);
const root = join(import.meta.dirname, '../..');
let system: BootedSystem;

before(async () => {
  await command('make', ['--no-print-directory', 'release'], { cwd: root });
  system = await BootedSystem.boot(`units-${seed}`);
  await system.run(`cp -RP dist/linux-${process.arch}/. /usr/local/bin/`);
  const page = readFileSync(join(root, 'docs/deploy/systemd.md'), 'utf8');
  const [installation] = page.match(/(?:^ {4}\S.*\n)+/m)!;
  await system.run(installation);
});

after(() => system.end());

/** Writes a file there. */
const write = (path: string, text: string): Promise<string> =>
  system.run(`umask 027; cat > ${path} <<'END'\n${text}\nEND\nchgrp es-sync-gateway ${path}`);

const assignments = (variables: Readonly<Record<string, string>>): string =>
  Object.entries(variables)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n');

async function ready(unit: string, port: number): Promise<void> {
  const ask = async () => (await fetch(`http://127.0.0.1:${port}/health/ready`)).status === 200;
  await until(`${unit} to be ready`, ask, { withinMs: 60_000 }).catch(async (error: unknown) => {
    throw new Error(
      `${(error as Error).message}\n${await system.run(`journalctl -u ${unit} -o cat -n 40; systemctl status --no-pager ${unit} || true`)}`,
    );
  });
}

test('es-watcher, nats-gateway --embedded and es-writer, with a secret handed over by systemd; one of them is killed', async (t) => {
  const stage = await Stage.open(`u${seed}`, random);
  t.after(() => stage.close());
  const [natsPort, ...ports] = [await freePort(), await freePort(), await freePort(), await freePort()] as const;
  const units = ['nats-gateway', 'es-watcher', 'es-writer'] as const;
  const settings = {
    'nats-url': [`nats://127.0.0.1:${natsPort}`],
    'nats-gateway': { 'admin-listen': `127.0.0.1:${ports[0]}`, embedded: true, 'nats-listen': `127.0.0.1:${natsPort}` },
    'es-watcher': {
      'admin-listen': `127.0.0.1:${ports[1]}`,
      'es-hosts': [stage.source.url],
      'index-patterns': [`${stage.prefix}-*`],
    },
    'es-writer': { 'admin-listen': `127.0.0.1:${ports[2]}`, 'es-hosts': [stage.target.url] },
  };
  await write('/etc/es-sync-gateway/config.yaml', JSON.stringify(settings));
  await system.run(`umask 077; echo t${seed} > /etc/es-sync-gateway/credentials/nats-token`);
  const dropIn = readFileSync(join(root, 'deploy/systemd/credentials.conf'), 'utf8').replaceAll('es-password', 'nats-token');
  for (const unit of units) {
    const variable = unit === 'nats-gateway' ? 'UPSTREAM_TOKEN' : 'NATS_TOKEN';
    await system.run(`mkdir -p /etc/systemd/system/${unit}.service.d`);
    const text = dropIn.replaceAll('source-password', 'nats-token').replace('ES_PASSWORD', variable);
    await write(`/etc/systemd/system/${unit}.service.d/credentials.conf`, text);
  }
  await stage.work('before', 200);
  await system.run(`systemctl daemon-reload; systemctl start ${units.join(' ')}`);
  for (const [n, unit] of units.entries()) await ready(unit, ports[n]!);
  const [user, capabilities, noNewPrivileges, seccomp] = (
    await system.run(
      `pid=$(systemctl show -P MainPID es-watcher); stat -c %U /proc/$pid; grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/$pid/status`,
    )
  ).split('\n');
  assert.deepEqual(
    [user, capabilities, noNewPrivileges, seccomp],
    ['es-sync-gateway', 'CapBnd:\t0000000000000000', 'NoNewPrivs:\t1', 'Seccomp:\t2'],
  );
  await Promise.all([stage.work('during', 300), system.run('systemctl kill --signal=KILL nats-gateway')]);
  t.diagnostic(`${await stage.untilExact()} documents`);
  await ready('nats-gateway', ports[0]);
  await system.run(`systemctl stop ${units.join(' ')}`);
  const ends = await system.run(`systemctl show -P Result ${units.join(' ')}`);
  assert.deepEqual(ends.trim().split(/\n+/), ['success', 'success', 'success']);
});

test('es-sync.service does it alone', async (t) => {
  const stage = await Stage.open(`a${seed}`, random);
  t.after(() => stage.close());
  const port = await freePort();
  await write('/etc/es-sync-gateway/config.yaml', 'log-level: info');
  const variables = {
    ADMIN_LISTEN: `127.0.0.1:${port}`,
    SOURCE: stage.source.url,
    TARGET: stage.target.url,
    INDEX_PATTERNS: `${stage.prefix}-*`,
  };
  await write('/etc/es-sync-gateway/es-sync.env', assignments(variables));
  await stage.work('before', 200);
  await system.run('systemctl start es-sync');
  await ready('es-sync', port);
  await stage.work('during', 200);
  t.diagnostic(`${await stage.untilExact()} documents`);
  await system.run('systemctl stop es-sync');
  assert.equal((await system.run('systemctl show -P Result es-sync')).trim(), 'success');
});

test('nats3.service archives a stream, by its settings file and with keys that only root may read', async () => {
  const [nats, s3, port] = await Promise.all([sharedNats(), sharedS3(), freePort()]);
  const listen = `127.0.0.1:${port}`;
  const settings = [`nats-url = ["${nats.url}"]`, '[nats3]', `listen = "${listen}"`, `s3-endpoint = "${s3.url}"`];
  await write('/etc/nats3/config.toml', settings.join('\n'));
  await write('/etc/es-sync-gateway/nats3.env', assignments(awsEnvironment(s3.credentials!)));
  await system.run(
    'chown root:root /etc/es-sync-gateway/nats3.env; chmod 600 /etc/es-sync-gateway/nats3.env; systemctl start nats3',
  );
  await ready('nats3', port);
  assert.equal(await system.run('nats3 server --probe ready'), '{"status":"ok"}\n');
  const nats3 = (...args: string[]) => system.run(['nats3', ...args].join(' '));
  assert.equal(await archiveStream(nats.url, ['--server', `http://${listen}`], `u${seed}`, nats3), 40);
  await system.run('systemctl stop nats3');
  assert.equal((await system.run('systemctl show -P Result nats3')).trim(), 'success');
});
