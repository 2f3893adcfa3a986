import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decodeDrop, encodeDrop } from '../../src/core/drop.ts';
import { ChangeBlock } from '../../src/core/change-block.ts';
import { decodeEnvelope, decodeEnvelopes, encodeEnvelope, readChanges } from '../../src/core/envelope.ts';
import { GatewayError } from '../../src/core/errors.ts';
import type { ChangeEvent } from '../../src/core/event.ts';
import { anyEvent, anyText, legible } from '../support/arbitrary-events.ts';

function refusedAs(text: string | Uint8Array, decode: (bytes: Uint8Array) => unknown = decodeEnvelopes): string {
  try {
    decode(Buffer.from(text));
  } catch (error) {
    assert.ok(error instanceof GatewayError, String(error));
    return error.code;
  }
  return 'decoded';
}

const head = '{"v":1,"tenant":"acme","index":"products","id":"42"';

test('an event comes back as it went in, its document byte for byte', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 5 }), (events) => {
      const bytes = Buffer.concat(events.map(encodeEnvelope));
      assert.equal(bytes.toString().split('\n').length, events.length + 1, 'one line an event');
      assert.deepEqual(decodeEnvelopes(bytes).map(legible), events.map(legible));
    }),
  );
});

test('an envelope is JSON for everybody else', () => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      const read = JSON.parse(encodeEnvelope(event).toString()) as Record<string, unknown>;
      assert.equal(read['v'], 1);
      assert.equal(read['id'], event.id);
      assert.equal(read['index'], event.index);
      assert.equal(read['version'], event.version);
      assert.equal(read['routing'], event.routing);
      if (event.source !== undefined) assert.equal(Object.keys(read).at(-1), 'source');
    }),
  );
});

function members(event: ChangeEvent): string[] {
  return [
    '"v":1',
    `"tenant":${JSON.stringify(event.tenant)}`,
    `"index" : ${JSON.stringify(event.index)}`,
    `"id":${JSON.stringify(event.id)}`,
    `"op":"${event.op}"`,
    `"version":\t${event.version}`,
    `"seq_no":${event.seqNo}`,
    `"primary_term":${event.primaryTerm}`,
    `"ts":${event.ts}`,
    ...(event.routing === undefined ? [] : [`"routing":${JSON.stringify(event.routing)}`]),
    ...(event.source === undefined ? [] : [`"source": ${Buffer.from(event.source).toString()}`]),
    ...(event.sourceRef === undefined ? [] : [`"source_ref":${JSON.stringify(event.sourceRef)}`]),
  ];
}

test('the order of keys does not matter, whoever published it', () => {
  const shuffled = anyEvent.chain((event) =>
    fc.shuffledSubarray(members(event), { minLength: members(event).length }).map((order) => ({ event, order })),
  );
  fc.assert(
    fc.property(shuffled, fc.constantFrom('', ' ', '\r'), ({ event, order }, end) => {
      const line = Buffer.from(`{ ${order.join(' , ')} }${end}`);
      const { extra: _, ...known } = event;
      assert.deepEqual(legible(decodeEnvelope(line, 0, line.length)), legible(known));
    }),
  );
});

/** The events of a frame, or the code of what is wrong with it. */
function readable(text: string): unknown {
  try {
    return decodeEnvelopes(Buffer.from(text)).map(legible);
  } catch (error) {
    return (error as GatewayError).code;
  }
}

test('a line reads the same in a frame as alone, however it is spelt', () => {
  const line = fc
    .tuple(anyEvent, fc.constantFrom('own', 'shuffled', 'cut', 'more', 'swollen'), fc.nat())
    .map(([event, way, n]) => {
      const alike: ChangeEvent = { ...event, tenant: 't', index: 'i' };
      const own = encodeEnvelope(alike).toString().trimEnd();
      if (way === 'shuffled') return `{${members(alike).toReversed().join(',')}}`;
      if (way === 'cut') return own.slice(0, n % own.length);
      if (way === 'more') return `${own.slice(0, -1)},"x":{}}`;
      return way === 'swollen' ? own.replace(/("ts":\d+)/, '$1000000000000000') : own;
    });
  const first = encodeEnvelope({
    tenant: 't',
    index: 'i',
    id: '0',
    op: 'index',
    version: 0,
    seqNo: 0,
    primaryTerm: 0,
    ts: 0,
    source: Buffer.from('{}'),
  });
  fc.assert(
    fc.property(line, fc.constantFrom('', '\n', ' \n'), (text, end) => {
      const alone = readable(text + end);
      const together = readable(first.toString() + text + end);
      assert.deepEqual(Array.isArray(together) ? together.slice(1) : together, alone);
    }),
  );
});

test('a key after the document is not a part of it', () => {
  const line = Buffer.from(`${head},"op":"index","version":7,"source":{"a":1},"more":{"b":2}}`);
  const [event] = decodeEnvelopes(line);
  assert.equal(Buffer.from(event!.source!).toString(), '{"a":1}');
  assert.equal(event!.extra, '"more":{"b":2}');
});

test('keys that this version does not know pass through', () => {
  fc.assert(
    fc.property(anyEvent, anyText, fc.json({ noUnicodeString: false }), (event, key, value) => {
      const reserved = [
        'v',
        'tenant',
        'index',
        'id',
        'op',
        'version',
        'seq_no',
        'primary_term',
        'ts',
        'routing',
        'source',
        'source_ref',
      ];
      fc.pre(!reserved.includes(key));
      const extra = `${JSON.stringify(key)}:${value}`;
      const [again] = decodeEnvelopes(encodeEnvelope({ ...event, extra }));
      assert.equal(again!.extra, extra);
      assert.deepEqual(encodeEnvelope(again!), encodeEnvelope({ ...event, extra }));
    }),
  );
});

test('what is not an envelope is refused as foreign', () => {
  const foreign = [
    'hello',
    '[]',
    '{}',
    '{',
    '{"v":1',
    '{"v":1}',
    '{"v":0,"tenant":"a","index":"b","id":"c","op":"delete","version":1}',
    `${head}}`,
    `${head},"op":"upsert","version":1,"source":{}}`,
    `${head},"op":"index","version":1}`,
    `${head},"op":"index","version":-1,"source":{}}`,
    `${head},"op":"index","version":1.5,"source":{}}`,
    `${head},"op":"index","version":9007199254740993,"source":{}}`,
    `${head},"op":"index","version":"1","source":{}}`,
    `${head},"op":"index","version":1,"source":}`,
    `${head},"op":"index","version":1,"source":7}`,
    `${head},"op":"index","version":1,"source":null}`,
    `${head},"op":"index","version":1,"source":{}`,
    `${head},"op":"index","version":1,"source":{"a":"}`,
    `${head},"op":"index","version":1,"source":{}} {}`,
    `${head},"op":"index","version":1,"source":{}}}`,
    `${head},"op":"index" "version":1,"source":{}}`,
    `${head},"op":"index","version":1,"source":{},"source_ref":{"bucket":"b","name":"n","bytes":1}}`,
    `${head},"op":"index","version":1,"source_ref":5}`,
    `${head},"op":"index","version":1,"source_ref":null}`,
    `${head},"op":"index","version":1,"source_ref":{"bucket":"b"}}`,
    `${head},"op":"delete","version":1,"source":{}}`,
    `${head},"op":"delete","version":1,"source_ref":{"bucket":"b","name":"n","bytes":1}}`,
    '{"v":1,"tenant":"","index":"b","id":"c","op":"delete","version":1}',
    '{"v":1,"tenant":"a","index":"b","id":"","op":"delete","version":1}',
    `{"v":1,"tenant":"a","index":"b","id":"${'x'.repeat(513)}","op":"delete","version":1}`,
    '{"v":1,"tenant":"a","index":"b","id":"\\q","op":"delete","version":1}',
    `${head},"op":"index",\n"version":1,"source":{}}`,
    '\u0000\u0001',
  ];
  for (const text of foreign) assert.equal(refusedAs(text), 'ENVELOPE_FOREIGN', text.slice(0, 120));
});

test('a newer version is named as such, whatever its other keys look like', () => {
  assert.equal(refusedAs(`{"v":2,"tenant":"a","index":"b","id":"c","op":"delete","version":1}`), 'ENVELOPE_NEWER');
  assert.equal(refusedAs(`{"v":2,"version":{"epoch":1},"id":[1]}`), 'ENVELOPE_NEWER');
});

test('no bytes make it crash', () => {
  const valid = anyEvent.map(encodeEnvelope);
  const damaged = fc
    .tuple(valid, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 8 }), fc.nat())
    .map(([bytes, changes, cut]) => {
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return bytes.subarray(0, cut % (bytes.length + 1));
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), (bytes) => {
      assert.match(refusedAs(bytes), /^(decoded|ENVELOPE_FOREIGN|ENVELOPE_NEWER)$/);
    }),
    { numRuns: 2000 },
  );
});

test('large nonsense is refused in linear time', () => {
  const count = 300_000;
  const nonsense: Record<string, string> = {
    'blank lines': '\n'.repeat(count),
    'white space before one letter': `${' \n'.repeat(count)}x`,
    backslashes: `{"${'\\'.repeat(count)}`,
    'escaped quotes': `{"${'\\"'.repeat(count)}`,
    'deep nesting': `{"a":${'['.repeat(count)}`,
    'deep nesting in a reference': `${head},"source_ref":${'['.repeat(count)}${']'.repeat(count)}}`,
    keys: `{${'"a":1,'.repeat(count / 10)}`,
  };
  for (const [name, text] of Object.entries(nonsense)) {
    const startedAt = performance.now();
    assert.equal(refusedAs(text), name === 'blank lines' ? 'decoded' : 'ENVELOPE_FOREIGN', name);
    assert.ok(performance.now() - startedAt < 2000, `${name} took ${Math.round(performance.now() - startedAt)} ms`);
  }
});

test('blank lines between envelopes are passed over', () => {
  const line = `${head},"op":"delete","version":1}`;
  assert.equal(decodeEnvelopes(Buffer.from(`\n\r\n${line}\r\n \n${line}`)).length, 2);
  assert.deepEqual(decodeEnvelopes(Buffer.alloc(0)), []);
});

/** The golden files say what published envelopes look like. They are never edited in place: a new form gets a new file. */
test('envelopes of every published form decode to what they always meant', () => {
  const folder = new URL('../golden/envelopes/', import.meta.url);
  const names = readdirSync(folder).filter((name) => name.endsWith('.ndjson'));
  assert.ok(names.length >= 2);
  for (const name of names) {
    const meant = JSON.parse(readFileSync(new URL(name.replace('.ndjson', '.json'), folder), 'utf8')) as unknown;
    assert.deepEqual(decodeEnvelopes(readFileSync(new URL(name, folder))).map(legible), meant, name);
  }
});

test('our own envelopes are printed as the golden file has them', () => {
  const golden = readFileSync(new URL('../golden/envelopes/v1-published.ndjson', import.meta.url));
  assert.equal(Buffer.concat(decodeEnvelopes(golden).map(encodeEnvelope)).toString(), golden.toString());
});

test('the drop line comes back as it went in', () => {
  fc.assert(
    fc.property(anyText, anyText, fc.nat({ max: Number.MAX_SAFE_INTEGER }), fc.nat(), (tenant, index, version, ts) => {
      const drop = { tenant, index, version, ts };
      assert.deepEqual(decodeDrop(encodeDrop(drop)), drop);
    }),
  );
});

test('a drop line that is not one is refused', () => {
  assert.equal(refusedAs('{"v":2,"op":"drop"}', decodeDrop), 'ENVELOPE_NEWER');
  for (const text of [
    '',
    'null',
    '[]',
    '{"v":1}',
    '{"v":1,"op":"drop","tenant":"a","index":"","version":1}',
    '{"v":1,"op":"drop","tenant":"a","index":"b"}',
  ])
    assert.equal(refusedAs(text, decodeDrop), 'ENVELOPE_FOREIGN', text);
});

function line(id: string, more: object = {}): Buffer {
  const fixed = { tenant: 't', index: 'i', op: 'index', version: 1, seqNo: 2, primaryTerm: 3, ts: 4 } as const;
  return encodeEnvelope({ ...fixed, id, source: Buffer.from('{"a":1.0}'), ...more });
}

test('envelopes of our own form are one block, up to one that is not', () => {
  const lines = [line('a'), line('b', { routing: 'r' }), line('c"'), line('d'), line('e', { extra: '"new":1' }), line('f')];
  const lists = readChanges(Buffer.concat(lines));
  assert.deepEqual(
    lists.map((list) => [list instanceof ChangeBlock, ...[...list].map(({ id, routing }) => id + (routing ?? ''))]),
    [
      [true, 'a', 'br'],
      [false, 'c"'],
      [true, 'd'],
      [false, 'e'],
      [true, 'f'],
    ],
  );
});
