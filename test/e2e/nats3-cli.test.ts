import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import type { NatsLink } from '../../src/jetstream/index.ts';
import type { ArchiveAnswer, JobAnswer } from '../../src/nats3/schema.ts';
import { ArchiveStage, awsEnvironment, linkTo } from '../support/archive-stage.ts';
import { freshNats, sharedS3 } from '../support/servers.ts';
import type { Server } from '../../scripts/servers.ts';

const root = resolve(import.meta.dirname, '../..');
const bin = join(root, 'bin');
const perSubject = 40;

let nats: Server;
let stage: ArchiveStage;
let link: NatsLink;

before(async () => {
  const s3 = await sharedS3();
  nats = await freshNats();
  stage = new ArchiveStage({ nats: nats.url, s3: s3.url, credentials: s3.credentials! });
  link = await linkTo(nats.url);
  await link.manager.streams.add({ name: 'jobs', subjects: ['subjects-1', 'subject-1'] });
  await link.manager.streams.add({ name: 'target', subjects: ['destination'] });
  for (let i = 1; i <= perSubject; i++) {
    await link.jetstream.publish('subjects-1', `one ${i}`);
    await link.jetstream.publish('subject-1', `two ${i}`);
  }
  await stage.program.startReady();
});

after(async () => {
  await stage.program.stop();
  await link.close();
  await nats.stop();
});

type Ran = { code: number | null; out: string; err: string };

/** Runs a line as a shell would, with nats3 on the path and the stage as its server. */
async function run(line: string, more: Record<string, string> = {}): Promise<Ran> {
  const { PATH = '', HOME = '', XDG_CACHE_HOME, ES_SYNC_CACHE } = process.env;
  const cache = {
    ...(XDG_CACHE_HOME === undefined ? {} : { XDG_CACHE_HOME }),
    ...(ES_SYNC_CACHE === undefined ? {} : { ES_SYNC_CACHE }),
  };
  const env = {
    PATH: `${bin}:${PATH}`,
    HOME,
    ...cache,
    NATS3_SERVER: stage.url,
    S3_ENDPOINT: stage.s3,
    ...awsEnvironment(stage.credentials),
    ...more,
  };
  const child = spawn('sh', ['-c', line], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((done) => child.once('close', done));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, err };
}

async function succeeds(line: string): Promise<string> {
  const { code, out, err } = await run(line);
  assert.equal(code, 0, `${line}\n${out}\n${err}\n${stage.program.tail()}`);
  assert.doesNotMatch(out + err, /\p{Cc}(?<![\n\t])/u, 'no control characters where there is no terminal');
  return out;
}

/** The command lines of the guide, as they stand there. */
function guideLines(): string[] {
  const guide = readFileSync(join(root, 'docs/nats3.md'), 'utf8');
  return [...guide.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap((block) => block[1]!.trimEnd().split('\n'));
}

describe('the command line of nats3', () => {
  it('does what the guide says, line by line', async () => {
    const lines = guideLines();
    assert.ok(lines.length > 25);
    for (const line of lines) {
      const here = line
        .replace('http://localhost:8080', stage.url)
        .replace('nats://localhost:4222', nats.url)
        .replace('http://localhost:7070', stage.s3);
      // A server is running already; what it says without --check is not worth another.
      if (!line.startsWith('nats3 server') || line.includes('--check')) await succeeds(here);
    }
    const copies = await link.manager.streams.info('target');
    assert.ok(copies.state.messages >= perSubject, 'what the guide loads has arrived');
  });

  it('answers in JSON, in full', async () => {
    const wait = '--until end --wait --json';
    const stored = JSON.parse(
      await succeeds(
        `nats3 store create --name all --stream jobs --subject '>' --bucket bucket-2 --create-bucket --prefix /p/ ${wait}`,
      ),
    ) as JobAnswer;
    assert.deepEqual([stored.status, stored.messages, stored.spec['prefix']], ['done', 2 * perSubject, 'p']);
    const list = JSON.parse(await succeeds('nats3 store list --json')) as JobAnswer[];
    assert.ok(list.some(({ name, status }) => name === 'all' && status === 'done'));
    const { jobs } = JSON.parse(await succeeds('nats3 archive ls --bucket bucket-2 --json')) as ArchiveAnswer;
    assert.deepEqual(
      jobs.map(({ stream, job, messages }) => [stream, job, messages]),
      [['jobs', 'all', 2 * perSubject]],
    );
    const verified = JSON.parse(await succeeds('nats3 archive verify --bucket bucket-2 --json')) as Record<string, number>;
    assert.deepEqual([verified['messages'], verified['unreadable'], verified['gaps']], [2 * perSubject, 0, 0]);
    const cat = await succeeds('nats3 archive cat --bucket bucket-2 --prefix p --stream jobs --subject subject-1 --from-seq 3');
    const lines = cat
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.equal(lines.length, perSubject - 1);
    assert.deepEqual([lines[0]!['sequence'], lines[0]!['subject'], lines[0]!['payload']], [4, 'subject-1', 'two 2']);
    const pruned = JSON.parse(
      await succeeds('nats3 archive prune --bucket bucket-2 --before 2999-01-01T00:00:00Z --json'),
    ) as Record<string, number>;
    assert.equal(pruned['messages'], 2 * perSubject);
  });

  it('finds damage, names it, and ends with 1', async () => {
    await succeeds(
      `nats3 store create --name damaged --stream jobs --subject '>' --bucket bucket-3 --create-bucket --max-messages 20 --until end --wait`,
    );
    const store = stage.bucket('bucket-3');
    const [, second, third] = await Array.fromAsync(store.list(''));
    const body = (await store.get(second!.key))!;
    body[Math.floor(body.length / 2)]! ^= 1;
    await store.put(second!.key, body, { replace: true });
    await store.remove([third!.key]);
    const { code, out, err } = await run('nats3 archive verify --bucket bucket-3');
    assert.equal(code, 1);
    assert.match(out, /damaged .*21-40/);
    assert.match(out, /gap +messages 21 to 60/);
    assert.match(err, /not whole/);
    const failed = await run(
      'nats3 load create --name broken --bucket bucket-3 --read-stream jobs --write-subject destination --wait',
    );
    assert.equal(failed.code, 1);
    assert.match(failed.err, /is damaged/);
    const skipped = JSON.parse(
      await succeeds(
        'nats3 load create --bucket bucket-3 --read-stream jobs --write-subject destination --skip-damaged --wait --json',
      ),
    ) as JobAnswer;
    assert.deepEqual([skipped.messages, skipped.skipped], [2 * perSubject - 40, 20]);
  });

  it('tells wrong usage from failure by the exit code, and what to do', async () => {
    const cases: [string, number, RegExp][] = [
      ['nats3 store create --name x', 2, /--stream/],
      ['nats3 nonsense', 2, /unknown command/],
      ['nats3 store create --name x --stream jobs --subject a --bucket b --max-age soon', 2, /duration/],
      ['nats3 archive cat --bucket bucket-2', 2, /--stream/],
      ['nats3 server --nonsense', 2, /unknown flag/],
      ['nats3 server --listen off', 2, /--listen/],
      ['nats3 store show nobody', 1, /there is no store job nobody/],
      ['nats3 store create --name x --stream NOWHERE --subject a --bucket bucket-2', 1, /there is no stream NOWHERE/],
      ['nats3 store list --server http://127.0.0.1:9', 1, /no nats3 server answers/],
      ['nats3 server --check --nats-url nats://127.0.0.1:9 --s3-endpoint http://127.0.0.1:9', 1, /^$/],
    ];
    for (const [line, exit, said] of cases) {
      const { code, err } = await run(line);
      assert.equal(code, exit, `${line}\n${err}`);
      assert.match(err, said, line);
    }
    assert.match(await succeeds('nats3 --help'), /archive/);
    assert.match(await succeeds('nats3 server --help'), /--kv-bucket/);
    assert.match(await succeeds('nats3 server --print-config --token hunter2'), /token: "?\*\*\*/);
    assert.equal(await succeeds('nats3 --version'), await succeeds('nats3 server --version'));
  });
});
