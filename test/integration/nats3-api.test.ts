import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { NatsLink } from '../../src/jetstream/index.ts';
import { ArchiveStage, linkTo, uniqueName } from '../support/archive-stage.ts';
import { sharedNats, sharedS3 } from '../support/servers.ts';

const token = 'let-me-in';
const bucket = uniqueName('api');
const stream = uniqueName('API');

let open: ArchiveStage;
let guarded: ArchiveStage;
let link: NatsLink;

before(async () => {
  const [nats, s3] = [await sharedNats(), await sharedS3()];
  const place = { nats: nats.url, s3: s3.url, credentials: s3.credentials! };
  open = new ArchiveStage(place);
  guarded = new ArchiveStage({ ...place, flags: { 'kv-bucket': 'guarded' }, env: { NATS3_TOKEN: token } });
  link = await linkTo(nats.url);
  await link.manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
  await Promise.all([open.program.startReady(), guarded.program.startReady()]);
  await open.bucket(bucket).bucket('create');
});

after(async () => {
  await Promise.all([open.program.stop(), guarded.program.stop()]);
  await link.close();
});

describe('the API of nats3', () => {
  const order = { name: 'refused', stream, subject: `${stream}.x`, bucket };

  it('says which field is wrong', async () => {
    const fields = async (body: unknown, path = '/store/job') => {
      const problem = await open.refused('POST', path, body);
      assert.equal(problem.status, 400);
      assert.equal(problem.code, 'FIELD_INVALID');
      return problem.errors!.map(({ field }) => field);
    };
    assert.deepEqual(await fields({}), ['name', 'stream', 'subject', 'bucket']);
    assert.deepEqual(await fields({ ...order, name: 'a b' }), ['name']);
    assert.deepEqual(await fields({ ...order, subject: 'a..b' }), ['subject']);
    assert.deepEqual(await fields({ ...order, batch: { max_messages: 0 } }), ['batch.max_messages']);
    assert.deepEqual(await fields({ ...order, batch: { max_bytes: 2 ** 29 } }), ['batch.max_bytes']);
    assert.deepEqual(await fields({ ...order, colour: 'red' }), ['colour']);
    assert.deepEqual(await fields({ bucket, read_stream: stream, rate: -1, from: 'soon' }, '/load/job'), ['from', 'rate']);
    const mapping = await open.refused('POST', '/load/job', { bucket, read_stream: stream, write_subject: 'a.{{wildcard(1)}}' });
    assert.deepEqual([mapping.status, mapping.code], [400, 'SUBJECT_MAPPING']);
    assert.equal((await open.refused('GET', '/archive')).status, 400);
    assert.equal(
      (await fetch(`${open.url}/store/job`, { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } }))
        .status,
      400,
    );
  });

  it('says what is missing, taken, or outside of the stream', async () => {
    const answers: [string, string, unknown, number, string][] = [
      ['POST', '/store/job', { ...order, stream: 'NOWHERE' }, 404, 'STREAM_MISSING'],
      ['POST', '/store/job', { ...order, bucket: 'not-there' }, 404, 'BUCKET_MISSING'],
      ['POST', '/store/job', { ...order, subject: 'elsewhere.x' }, 422, 'FILTER_OUTSIDE'],
      ['GET', '/store/job/nobody', undefined, 404, 'JOB_MISSING'],
      ['POST', '/store/job/nobody/pause', undefined, 404, 'JOB_MISSING'],
      ['POST', '/load/job/nobody/resume', undefined, 404, 'JOB_MISSING'],
      ['DELETE', '/store/job/nobody', undefined, 404, 'JOB_MISSING'],
      ['POST', '/load/job', { bucket, read_stream: 'NOWHERE', write_subject: `${stream}.y` }, 404, 'ARCHIVE_MISSING'],
      ['POST', '/load/job', { bucket: 'not-there', read_stream: stream }, 404, 'BUCKET_MISSING'],
      ['GET', '/archive?bucket=not-there', undefined, 404, 'BUCKET_MISSING'],
      ['GET', '/nothing', undefined, 404, 'ROUTE_MISSING'],
    ];
    for (const [method, path, body, status, code] of answers) {
      const problem = await open.refused(method, path, body);
      assert.deepEqual([problem.status, problem.code], [status, code], `${method} ${path}`);
      assert.ok(problem.hint !== undefined && problem.hint.length > 0, `${code} has a hint`);
    }
    assert.deepEqual((await open.call<{ jobs: unknown[] }>('GET', '/store/job')).body, { jobs: [] });
    const name = uniqueName('taken');
    await open.store({ ...order, name });
    const taken = await open.refused('POST', '/store/job', { ...order, name });
    assert.deepEqual([taken.status, taken.code], [409, 'JOB_EXISTS']);
    assert.equal((await link.manager.streams.info(stream)).state.consumer_count, 1, 'a refused job leaves no consumer');
    await open.done('DELETE', `/store/job/${name}`);
  });

  it('needs the token, but for health and metrics', async () => {
    for (const path of ['/store/job', '/archive?bucket=x', '/openapi.json', '/stats', '/nothing']) {
      assert.equal((await guarded.refused('GET', path)).code, 'UNAUTHORISED', path);
      assert.equal((await guarded.refused('GET', path, undefined, { authorization: 'Bearer wrong' })).status, 401);
    }
    for (const path of ['/health', '/health/live', '/health/ready'])
      assert.equal((await guarded.call('GET', path)).status, 200, path);
    assert.equal((await guarded.program.get('/metrics')).status, 200);
    assert.equal((await guarded.call('GET', '/store/job', undefined, { authorization: `Bearer ${token}` })).status, 200);
    assert.doesNotMatch(guarded.program.output, new RegExp(token));
  });

  it('describes itself: every route that is served, and the schemas that requests are checked by', async () => {
    type Document = {
      paths: Record<string, Record<string, unknown>>;
      components: { schemas: Record<string, { properties?: object }> };
    };
    const { paths, components } = await open.done<Document>('GET', '/openapi.json');
    assert.deepEqual(Object.keys(components.schemas['StoreRequest']!.properties!).slice(0, 4), [
      'name',
      'stream',
      'subject',
      'bucket',
    ]);
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods)) {
        const answer = await open.program.get(path.replace('{name}', 'nobody')).catch(() => undefined);
        if (method === 'get')
          assert.notEqual(JSON.parse(answer!.body.startsWith('{') ? answer!.body : '{}')['code'], 'ROUTE_MISSING', path);
      }
    }
  });

  it('pauses, resumes and counts', async () => {
    const name = uniqueName('paused');
    const path = `/store/job/${name}`;
    await open.store({ ...order, name, batch: { max_age_ms: 50 } });
    await link.jetstream.publish(`${stream}.x`, 'one');
    await open.job(path, 'one stored', ({ messages }) => messages === 1);
    assert.equal((await open.done<{ status: string }>('POST', `${path}/pause`)).status, 'paused');
    await link.jetstream.publish(`${stream}.x`, 'two');
    assert.equal((await open.done<{ status: string }>('POST', `${path}/resume`)).status, 'running');
    await open.job(path, 'two stored', ({ messages }) => messages === 2);
    assert.equal(await open.program.metric('messages_total'), 2);
    assert.equal(await open.program.metric('running_jobs'), 1);
    await open.done('DELETE', path);
    assert.equal((await open.refused('GET', path)).status, 404);
    assert.equal(await open.program.metric('messages_total'), 0, 'series of a job that is gone are dropped');
  });
});
