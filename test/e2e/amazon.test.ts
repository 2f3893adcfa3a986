import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../../scripts/servers.ts';
import { AwsFront } from '../support/aws-front.ts';
import { preparePlans, removePlans, standardPlans } from '../support/plans.ts';
import { Program } from '../support/programs.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { freshNats, sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { Workload } from '../support/workload.ts';

/** A route from one account to another, as the README promises: every request is signed, and the signature is checked on the other side. */
const seed = seedOfRun('amazon');
const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'hunter2/is+a=secret' };
const temporary = { ...credentials, accessKeyId: 'ASIAEXAMPLE', sessionToken: 'FwoGZXIvYXdzE+//token==' };

function environmentOf(keys: typeof credentials & { sessionToken?: string }): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    ...(keys.sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: keys.sessionToken }),
  };
}

test('every request of watcher and writer is signed as AWS wants it, odd index names, ids and session tokens included', async (t) => {
  const prefix = `aws${seed}`;
  const nats = await freshNats();
  const source = await AwsFront.before((await sharedElasticsearch('8.19')).url, {
    service: 'es',
    region: 'eu-central-1',
    credentials: temporary,
  });
  const target = await AwsFront.before((await sharedOpenSearch('2.19')).url, {
    service: 'aoss',
    region: 'us-east-1',
    credentials,
  });
  const rig = new Rig({
    random: new Random(seed),
    prefix,
    source: (await sharedElasticsearch('8.19')).url,
    target: (await sharedOpenSearch('2.19')).url,
    nats: nats.url,
    watcherSees: { source: source.url },
    writerSees: { target: target.url },
    watcherFlags: ['--es-aws-region=eu-central-1'],
    watcherEnv: environmentOf(temporary),
    writerFlags: ['--es-aws-region=us-east-1', '--es-aws-service=aoss'],
    writerEnv: environmentOf(credentials),
  });
  const plans = standardPlans(prefix, { streams: true, idsEach: 200 });
  // Index names are in the paths that are signed.
  const odd = encodeURIComponent(`${prefix}-größe+1@x`);
  await preparePlans(rig.source, rig.target, plans);
  t.after(async () => {
    await rig.stop();
    for (const cluster of [rig.source, rig.target]) await cluster.send('DELETE', `/${odd}`);
    await Promise.all([removePlans(rig.source, plans), removePlans(rig.target, plans), nats.stop()]);
    await rig.close();
    for (const front of [source, target]) front.close();
  });
  await rig.start();
  for (const id of ['1', 'ü/%+', '1']) await rig.source.json('PUT', `/${odd}/_doc/${encodeURIComponent(id)}`, { id });
  await rig.source.json('DELETE', `/${odd}/_doc/1`);
  await new Workload({ cluster: rig.source, random: new Random(seed), plans, clients: 4, operations: 1_000 }).run();
  const { documents } = await rig.untilExact();
  assert.deepEqual([...source.refusals, ...target.refusals], []);
  t.diagnostic(`${documents} documents equal; ${source.admitted} and ${target.admitted} requests let in`);
  assert.ok(source.admitted > 100 && target.admitted > 10);
  rig.assertQuiet();
  for (const program of [rig.watcher, rig.writer]) assert.ok(!program.tail(1_000).includes(credentials.secretAccessKey));
});

test('a request that is not signed for the right region or key is refused, and the program says what to check', async (t) => {
  const front = await AwsFront.before((await sharedOpenSearch('2.19')).url, { service: 'es', region: 'eu-west-1', credentials });
  const nats = await freshNats();
  t.after(() => {
    front.close();
    return nats.stop();
  });
  const attempts: readonly (readonly [flags: string[], env: Record<string, string>, says: RegExp])[] = [
    [[], {}, /403.*Missing Authentication Token/],
    [['--es-aws-region=eu-west-2'], environmentOf(credentials), /403.*signature we calculated does not match/],
    [['--es-aws-region=eu-west-1', '--es-aws-service=aoss'], environmentOf(credentials), /403.*signature we calculated/],
    [['--es-aws-region=eu-west-1'], environmentOf({ ...credentials, secretAccessKey: 'other' }), /403.*signature we calculated/],
  ];
  for (const [flags, env, says] of attempts) {
    const program = new Program('es-writer', {
      flags: [`--es-hosts=${front.url}`, `--nats-url=${nats.url}`, ...flags],
      env,
      logFile: join(temporaryDirectory('amazon'), 'log'),
    });
    program.start();
    assert.equal((await program.ended()).code, 1, program.output);
    assert.match(program.output, says);
    assert.match(program.output, /--es-aws-region/);
  }
});
