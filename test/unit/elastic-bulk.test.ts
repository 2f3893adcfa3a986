import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeEnvelope, readChanges } from '../../src/core/envelope.ts';
import type { ChangeEvent } from '../../src/core/event.ts';
import { BulkEncoder } from '../../src/elastic/bulk.ts';
import { BulkWriter } from '../../src/elastic/bulk-writer.ts';
import type { ElasticAnswer, ElasticClient, ElasticRequest } from '../../src/elastic/client.ts';
import { ElasticError } from '../../src/elastic/errors.ts';
import { GcDeletes, type GcDeletesFact } from '../../src/elastic/gc-deletes.ts';
import { readBulkAnswer } from '../../src/elastic/outcome.ts';
import { anyEvent } from '../support/arbitrary-events.ts';
import { writeEvents } from '../support/write-events.ts';

function change(id: string, facts: Partial<ChangeEvent> = {}): ChangeEvent {
  const fixed = { tenant: 't', index: 'i', op: 'index', version: 7, seqNo: 1, primaryTerm: 1, ts: 0 } as const;
  return { ...fixed, id, source: Buffer.from('{"a":1.0}'), ...facts };
}
function removal(id: string): ChangeEvent {
  const { source: _source, ...rest } = change(id, { op: 'delete' });
  return rest;
}
const same = (index: string) => index;

test('an action a line, the document as it came', () => {
  const events = [change('1'), change('q"\\🙂', { op: 'update', routing: 'r"', version: 8 }), removal('d')];
  const { body, to } = new BulkEncoder().encode([events], 0, 3, 1e6, (index) => `copy-of-${index}"`);
  assert.equal(to, 3);
  assert.equal(
    body.toString(),
    [
      '{"index":{"_index":"copy-of-i\\"","_id":"1","version":7,"version_type":"external"}}',
      '{"a":1.0}',
      '{"index":{"_index":"copy-of-i\\"","_id":"q\\"\\\\🙂","version":8,"version_type":"external","routing":"r\\""}}',
      '{"a":1.0}',
      '{"delete":{"_index":"copy-of-i\\"","_id":"d","version":7,"version_type":"external"}}',
      '',
    ].join('\n'),
  );
});

test('blocks are written as their events would be, wherever the body is cut', () => {
  const run = fc.tuple(anyEvent, fc.integer({ min: 1, max: 5 }));
  fc.assert(
    fc.property(fc.array(run, { minLength: 1, maxLength: 8 }), fc.nat(), fc.nat({ max: 3_000 }), (runs, cut, bytesMax) => {
      const lists = runs.flatMap(([event, length]) =>
        readChanges(Buffer.concat(Array.from({ length }, (_, version) => encodeEnvelope({ ...event, version })))),
      );
      const events = lists.flatMap((list) => [...list]);
      const from = cut % events.length;
      const written = new BulkEncoder().encode(lists, from, events.length, bytesMax, same);
      const expected = new BulkEncoder().encode([events], from, events.length, bytesMax, same);
      assert.equal(written.to, expected.to);
      assert.equal(written.body.toString(), expected.body.toString());
    }),
  );
});

test('any documents, any size: every line is where it belongs', () => {
  const encoder = new BulkEncoder();
  const source = fc.string({ unit: 'binary', maxLength: 300 }).map((text) => Buffer.from(`{\n"x": ${JSON.stringify(text)}\n}`));
  const event = fc.tuple(fc.string({ unit: 'grapheme', minLength: 1 }), source, fc.boolean());
  fc.assert(
    fc.property(fc.array(event, { minLength: 1 }), fc.integer({ min: 1, max: 5_000 }), (list, bytesMax) => {
      const events = list.map(([id, doc, isDelete]) => (isDelete ? removal(id) : change(id, { source: doc })));
      const lines: string[] = [];
      for (let from = 0; from < events.length;) {
        const { body, to } = encoder.encode([events], from, events.length, bytesMax, same);
        assert.ok(to > from && (to === from + 1 || body.length <= bytesMax));
        lines.push(...body.toString().split('\n').slice(0, -1));
        from = to;
      }
      for (const one of events) {
        const action = JSON.parse(lines.shift()!) as Record<string, { _id: string }>;
        assert.equal(action[one.op === 'delete' ? 'delete' : 'index']?._id, one.id.toWellFormed());
        if (one.source !== undefined) assert.equal(lines.shift(), Buffer.from(one.source).toString().replaceAll('\n', ' '));
      }
      assert.deepEqual(lines, []);
    }),
  );
});

function outcomes(...items: object[]) {
  return readBulkAnswer(Buffer.from(JSON.stringify({ took: 1, errors: true, items })), items.length);
}
function failed(status: number, type: string, op = 'index') {
  return { [op]: { status, error: { type, reason: 'because', caused_by: { type: 'cause', reason: 'deeper' } } } };
}

test('one outcome a document', () => {
  const is = (...items: object[]) => outcomes(...items).map((outcome) => outcome.is);
  assert.deepEqual(is({ index: { status: 201 } }, { index: { status: 200 } }, { delete: { status: 200 } }), [
    'stored',
    'stored',
    'stored',
  ]);
  assert.deepEqual(is({ delete: { status: 404 } }), ['stored'], 'a delete of what is not there leaves its version');
  assert.deepEqual(is({ index: { status: 404 } }, { index: {} }, {}), ['busy', 'busy', 'busy']);
  assert.deepEqual(
    is(failed(409, 'version_conflict_engine_exception'), failed(409, 'version_conflict_engine_exception', 'delete')),
    ['stale', 'stale'],
  );
  assert.deepEqual(
    is(
      failed(429, 'es_rejected_execution_exception'),
      failed(503, 'unavailable_shards_exception'),
      failed(500, 'whatever'),
      failed(403, 'cluster_block_exception'),
      failed(429, 'circuit_breaking_exception'),
    ),
    ['busy', 'busy', 'busy', 'busy', 'busy'],
  );
  assert.deepEqual(outcomes(failed(400, 'mapper_parsing_exception'), failed(404, 'index_not_found_exception', 'delete')), [
    { is: 'refused', refusal: { status: 400, type: 'mapper_parsing_exception', reason: 'because (cause: deeper)' } },
    { is: 'refused', refusal: { status: 404, type: 'index_not_found_exception', reason: 'because (cause: deeper)' } },
  ]);
});

test('a document that lost a race for the mapping is tried again, and refused for what it is after that', () => {
  const reason = 'mapper [n] cannot be changed from type [long] to [text]';
  const [lost] = outcomes({ index: { status: 400, error: { type: 'illegal_argument_exception', reason } } });
  const refusal = { status: 400, type: 'illegal_argument_exception', reason };
  assert.deepEqual(lost, {
    is: 'busy',
    status: 400,
    reason: `illegal_argument_exception: ${reason}`,
    atLast: { tries: 3, refusal },
  });
});

test('an answer about another number of documents is none', () => {
  const one = '{"items":[{"index":{"status":201}}]}';
  for (const [text, count] of [
    [one, 2],
    [one, 0],
    ['{"items":[', 1],
    ['{}', 1],
  ] as const) {
    assert.throws(() => readBulkAnswer(Buffer.from(text), count), { code: 'ES_ANSWER_INVALID', transient: true });
  }
});

type Handler = (request: ElasticRequest) => [number, unknown];

/** A cluster that answers as told. */
function cluster(handler: Handler): ElasticClient {
  const ok = (request: ElasticRequest): Promise<ElasticAnswer> => {
    const [status, answer] = handler(request);
    if (status >= 400) {
      const transient = status === 429 || status >= 500;
      return Promise.reject(new ElasticError('X', `status ${status}`, { status, transient, type: 't', reason: 'r' }));
    }
    return Promise.resolve({ status, body: Buffer.from(JSON.stringify(answer)), host: 'http://x' });
  };
  const json = async (request: ElasticRequest) => JSON.parse((await ok(request)).body.toString()) as unknown;
  return { hosts: [], request: ok, ok, json, close: () => Promise.resolve() };
}

function idsOf(request: ElasticRequest): string[] {
  return Buffer.from(request.body ?? '')
    .toString()
    .split('\n')
    .flatMap((line) => /"_id":"([^"]*)"/.exec(line)?.[1] ?? []);
}
function allStored(request: ElasticRequest): [number, unknown] {
  return [200, { items: idsOf(request).map(() => ({ index: { status: 201 } })) }];
}

const many = Array.from({ length: 20 }, (_, i) => change(`id${i}`));

test('a write is one request; a document that is missing is refused without one', async () => {
  const requests: string[][] = [];
  const client = cluster((request) => {
    requests.push(idsOf(request));
    return allStored(request);
  });
  const { source: _source, ...gone } = change('gone');
  const written = await writeEvents(new BulkWriter({ client }), [many[0]!, gone, many[1]!]);
  assert.deepEqual(
    written.map((outcome) => outcome.is),
    ['stored', 'refused', 'stored'],
  );
  assert.deepEqual(requests, [['id0', 'id1']]);
  assert.deepEqual(await writeEvents(new BulkWriter({ client }), []), []);
});

test('what is too large for one request goes in several', async () => {
  const sizes: number[] = [];
  const client = cluster((request) => {
    sizes.push(idsOf(request).length);
    return request.body!.length > 1_000 ? [413, {}] : allStored(request);
  });
  const writer = new BulkWriter({ client, bodyBytesMax: 1_000 });
  assert.ok((await writeEvents(writer, many)).every((outcome) => outcome.is === 'stored'));
  assert.ok(sizes.length > 1 && sizes.length < 5);

  const unknowing = new BulkWriter({ client });
  assert.ok((await writeEvents(unknowing, many)).every((outcome) => outcome.is === 'stored'));
  const huge = change('huge', { source: Buffer.alloc(2_000, 0x20) });
  const written = await writeEvents(unknowing, [many[0]!, huge, many[1]!]);
  assert.deepEqual(
    written.map((outcome) => outcome.is),
    ['stored', 'refused', 'stored'],
  );
  assert.equal(written[1]?.is === 'refused' && written[1].refusal.status, 413);
});

test('a request refused for one of its documents is narrowed down to it', async () => {
  const client = cluster((request) => (idsOf(request).includes('id13') ? [400, {}] : allStored(request)));
  const written = await writeEvents(new BulkWriter({ client }), many);
  assert.deepEqual(
    written.map((outcome, i) => [i, outcome.is]).filter(([, is]) => is !== 'stored'),
    [[13, 'refused']],
  );
});

test('what may pass is busy, what does not is thrown', async () => {
  const statuses: number[] = [];
  const write = (status: number) =>
    writeEvents(new BulkWriter({ client: cluster(() => [status, {}]), onBulk: (bulk) => statuses.push(bulk.status) }), many);
  for (const status of [429, 502, 503]) {
    assert.ok((await write(status)).every((outcome) => outcome.is === 'busy' && outcome.status === status));
  }
  for (const status of [401, 403]) await assert.rejects(write(status), { status });
  assert.deepEqual(statuses, [429, 502, 503, 401, 403]);
});

test('index.gc_deletes is raised once, for what exists, and looked at again', async () => {
  const settings: Record<string, Record<string, string>> = {
    low: { 'index.uuid': 'u', 'index.gc_deletes': '90s' },
    high: { 'index.uuid': 'u', 'index.gc_deletes': '2h' },
    locked: { 'index.uuid': 'u' },
    concrete: { 'index.uuid': 'u' },
  };
  const asked: string[] = [];
  const client = cluster((request) => {
    const names = decodeURIComponent(request.path.split('/')[1]!).split(',');
    asked.push(`${request.method} ${names.join()}`);
    const concrete = names.map((name) => (name === 'alias' && names.length === 1 ? 'concrete' : name));
    if (request.method === 'PUT') {
      if (names[0] === 'locked') return [403, {}];
      for (const name of concrete) settings[name]!['index.gc_deletes'] = '3600000ms';
      return [200, {}];
    }
    return [
      200,
      Object.fromEntries(concrete.filter((name) => name in settings).map((name) => [name, { settings: settings[name] }])),
    ];
  });
  let now = 0;
  const facts: GcDeletesFact[] = [];
  const gc = new GcDeletes({ client, wantedMs: 3_600_000, onFact: (fact) => facts.push(fact), recheckMs: 1_000, now: () => now });
  const all = ['low', 'high', 'locked', 'alias', 'absent'];
  await Promise.all([gc.ensure(all), gc.ensure(all)]);
  const told = facts.map(({ index, state, fromMs, toMs }) => [index, state, fromMs, toMs]);
  assert.deepEqual(
    new Set(told),
    new Set([
      ['alias', 'raised', 60_000, 3_600_000],
      ['high', 'enough', 7_200_000, 7_200_000],
      ['locked', 'refused', 60_000, 60_000],
      ['low', 'raised', 90_000, 3_600_000],
    ]),
  );
  asked.length = 0;
  await gc.ensure(['low', 'high', 'locked', 'alias']);
  assert.deepEqual(asked, []);
  settings['absent'] = { 'index.uuid': 'new' };
  await gc.ensure(['absent', 'low']);
  assert.deepEqual(asked, ['GET absent', 'PUT absent']);
  // Made anew behind our back: found at the next look.
  settings['low'] = { 'index.uuid': 'other' };
  now = 1_000;
  await gc.ensure(['low']);
  assert.equal(settings['low']['index.gc_deletes'], '3600000ms');
});
