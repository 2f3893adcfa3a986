import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { OpenedPart } from '../../src/archive/part.ts';
import { PartBuilder } from '../../src/archive/part-builder.ts';
import { UsageError } from '../../src/core/errors.ts';
import { replayableLines } from '../../src/jetstream/replay-headers.ts';
import { leastHeaderBytes, PublishLines } from '../../src/jetstream/wire-out.ts';
import { count, size, statusText, table } from '../../src/nats3/cli-output.ts';
import { nats3Settings } from '../../src/nats3/config.ts';
import { freshState, isSettled, type JobRecord, type JobState } from '../../src/nats3/job.ts';
import { LeaseView } from '../../src/nats3/lease.ts';
import { LoadPace } from '../../src/nats3/load-pace.ts';
import { openApi } from '../../src/nats3/openapi.ts';
import { badFields } from '../../src/nats3/problems.ts';
import { lifeOf, Replay } from '../../src/nats3/replay.ts';
import { loadRequest, storeRequest } from '../../src/nats3/schema.ts';
import { mappedPattern, subjectMap } from '../../src/nats3/subject-map.ts';
import { readInvocation } from '../../src/service/config.ts';

const block = (...lines: string[]): Buffer => Buffer.from(`NATS/1.0\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
const held = (revision: number) => ({ key: 'lease.k', value: { server: 's', token: 't' }, revision });
const file = (name: string, content: string): string => {
  const path = join(mkdtempSync(join(tmpdir(), 'nats3-settings-')), name);
  writeFileSync(path, content);
  return path;
};
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe('subject mapping', () => {
  it('puts tokens where the write subject asks for them', () => {
    const cases: [string, string | undefined, string, string, string][] = [
      ['a.*', undefined, 'a.b', 'a.b', 'a.*'],
      ['a.*', 'x', 'a.b', 'x', 'x'],
      ['a.*.*', 'x.{{wildcard(2)}}.{{wildcard(1)}}', 'a.b.c', 'x.c.b', 'x.*.*'],
      ['a.*.*', 'x.{{ wildcard( 2 ) }}', 'a.b.c', 'x.c', 'x.*'],
      ['*.a.*', '$2.x', 'b.a.c', 'c.x', '*.x'],
      ['a.>', 'x.y.>', 'a.b.c', 'x.y.b.c', 'x.y.>'],
      ['a.*.>', 'x.{{wildcard(1)}}.>', 'a.b.c.d', 'x.b.c.d', 'x.*.>'],
      ['>', 'x.>', 'a.b', 'x.a.b', 'x.>'],
    ];
    for (const [read, write, given, wanted, pattern] of cases) {
      const map = subjectMap(read, write);
      assert.equal(map(given), wanted, `${read} to ${write}`);
      assert.equal(map(given), wanted, 'remembered');
      assert.equal(mappedPattern(read, write), pattern);
    }
  });

  it('refuses what stands for nothing', () => {
    for (const [read, write] of [
      ['a.*', 'x.{{wildcard(2)}}'],
      ['a.b', 'x.{{wildcard(1)}}'],
      ['a.*', 'x.*'],
      ['a.*', 'x.>'],
      ['a.*', 'x..y'],
      ['a.*', 'x y'],
      ['a.*', 'x.{{partition(3,1)}}'],
    ] as const) {
      assert.throws(
        () => subjectMap(read, write),
        (error: unknown) => error instanceof UsageError && error.code === 'SUBJECT_MAPPING',
      );
    }
  });
});

describe('messages that are published again', () => {
  it('keep their headers but for those that the server acts upon', () => {
    const plain = block('A: 1', 'B:2', 'a:  3 ');
    assert.equal(text(replayableLines(plain)), 'A: 1\r\nB:2\r\na:  3 \r\n');
    const all = block(
      'A: 1',
      'Nats-Msg-Id: x',
      'Nats-Expected-Last-Sequence: 1',
      'Nats-Rollup: all',
      'Nats-TTL: 1s',
      'Nats3-Time: x',
      'X: Nats-Msg-Id',
      'Nats-Other: y',
    );
    assert.equal(text(replayableLines(all)), 'A: 1\r\nX: Nats-Msg-Id\r\nNats-Other: y\r\n');
  });

  it('say what they were, in headers and in their id', () => {
    const created = '2026-11-25T22:45:12.168947027Z';
    const replay = new Replay('job1', (subject) => `to.${subject}`);
    const subjects = ['a', 'ä'.repeat(1_000), 'a'];
    const originals = new PartBuilder(65_536);
    for (const [at, subject] of subjects.entries()) {
      const [headers, payload] = [at === 1 ? block('A: 1', 'Nats-TTL: 1s') : Buffer.alloc(0), Buffer.from(`x${at}`)];
      originals.add({ subject, headers, payload, sequence: 10 ** at, timestamp: 1_795_268_856_023 + 1_000 * at, nanos: 186_310 });
    }
    const part = new OpenedPart(originals.finish((bytes) => Buffer.alloc(bytes)).raw);
    for (const [row, original] of subjects.entries()) {
      const message = replay.message(lifeOf(created), part, row);
      const { subject, idPrefix, idNumber, ownLines, lines, bytes, payloadAt, payloadEnd } = message;
      assert.equal(subject, `to.${original}`);
      assert.equal(
        text(ownLines),
        `Nats3-Sequence: ${10 ** row}\r\nNats3-Time: 2026-11-21T13:47:3${6 + row}.023186310Z\r\nNats3-Subject: ${original}\r\n`,
      );
      assert.equal(text(lines), row === 1 ? 'A: 1\r\n' : '');
      assert.equal(text(bytes.subarray(payloadAt, payloadEnd)), `x${row}`);
      assert.deepEqual(replay.originOf(`${idPrefix}${idNumber}`), { streamCreated: created, sequence: 10 ** row });
    }
    for (const foreign of [undefined, 'x', 'job1.', 'job1.abc', 'job1.abc.x', 'job2.abc.7', 'job1.abc.7.8'])
      assert.equal(replay.originOf(foreign), undefined);
  });

  it('go out as protocol lines that nothing overwrites', () => {
    const lines = new PublishLines();
    const headers = 'NATS/1.0\r\nGröße: 9007199254740991\r\n\r\n';
    const headerBytes = Buffer.byteLength(headers);
    const write = (subject: string, reply: string, payload: Buffer): void => {
      lines.begin(subject, reply, headerBytes, payload.length);
      lines.text('Größe: ');
      lines.number(Number.MAX_SAFE_INTEGER);
      lines.add(Buffer.from('\r\n'));
      lines.end(payload, 0, payload.length);
    };
    write('a.b', '', Buffer.from('payload'));
    const first = lines.take();
    write('größe', 'reply.1', Buffer.alloc(300_000, 1));
    const second = lines.take();
    write('a', 'reply.1', Buffer.from('one'));
    write('b', '', Buffer.alloc(262_000, '2'));
    lines.askLast('reply.two.that.is.long');
    const third = lines.take();
    const message = (words: string, payload: string): string =>
      `HPUB ${words} ${headerBytes} ${headerBytes + payload.length}\r\n${headers}${payload}\r\n`;
    assert.equal(text(first), message('a.b', 'payload'));
    assert.ok(text(second).startsWith(`HPUB größe reply.1 ${headerBytes} ${headerBytes + 300_000}\r\n`));
    assert.equal(text(third), message('a reply.1', 'one') + message('b reply.two.that.is.long', '2'.repeat(262_000)));
    assert.equal(lines.take().length, 0);
  });

  it('go out from the same memory again once they have arrived, and not before', () => {
    const lines = new PublishLines();
    const taken: { bytes: Buffer; text: string }[] = [];
    const memory = new Set<unknown>();
    for (let number = 1; number <= 200; number++) {
      const payload = Buffer.alloc(number % 20 === 0 ? 300_000 : 50_000, String(number % 10));
      lines.begin('a', '', leastHeaderBytes, payload.length);
      lines.end(payload, 0, payload.length);
      const bytes = lines.take(number);
      taken.push({ bytes, text: text(bytes) });
      memory.add(bytes.buffer);
      // The last ten are on their way still.
      lines.reuse(number - 10);
      for (const { bytes: kept, text: was } of taken.slice(-10)) assert.equal(text(kept), was);
    }
    assert.ok(memory.size < 20, `${memory.size} pieces of memory`);
  });
});

describe('the pace of a load', () => {
  it('keeps to a rate, to the distances of the originals, or to neither', () => {
    let now = 1_000;
    const clock = () => now;
    const free = new LoadPace({ replay: 'instant' }, clock);
    assert.equal(free.isFree && free.waitMs(5), 0);
    const rated = new LoadPace({ rate: 10, replay: 'instant' }, clock);
    assert.deepEqual([rated.waitMs(0), rated.waitMs(0), rated.waitMs(0)], [0, 100, 200]);
    now += 250;
    assert.deepEqual([rated.waitMs(0), rated.waitMs(0)], [50, 150]);
    const original = new LoadPace({ replay: 'original' }, clock);
    assert.deepEqual([original.waitMs(500), original.waitMs(501), original.waitMs(700)], [0, 0, 200]);
    now += 1_000;
    assert.equal(original.waitMs(800), 0);
  });
});

describe('a lease as others see it', () => {
  it('is free when it was let go, or when it does not change for the time-out', () => {
    let now = 0;
    const view = new LeaseView(1_000, () => now);
    assert.equal(view.takeable('k'), 0);
    view.note('k', held(3));
    assert.equal(view.takeable('k'), undefined);
    now = 900;
    view.note('k', held(4));
    now = 1_800;
    assert.equal(view.takeable('k'), undefined);
    view.note('k', held(4));
    now = 1_901;
    assert.equal(view.takeable('k'), 4);
    view.note('k', { key: 'lease.k', value: { token: 't' }, revision: 5 });
    assert.equal(view.takeable('k'), 5);
  });

  it('is not wanted for jobs about which nothing is to be done', () => {
    const record = {
      id: 'i',
      name: 'n',
      created: '',
      wanted: 'run',
      restarts: 0,
      kind: 'store',
      spec: {},
    } as unknown as JobRecord;
    const at = (status: JobState['status']): JobState => ({ ...freshState(record, 's'), status });
    assert.equal(isSettled(record, undefined), false);
    assert.equal(isSettled(record, at('degraded')), false);
    assert.equal(isSettled(record, at('paused')), false);
    assert.equal(isSettled(record, at('failed')), true);
    assert.equal(isSettled({ ...record, restarts: 1 }, at('failed')), false);
    assert.equal(isSettled({ ...record, wanted: 'pause' }, at('paused')), true);
    assert.equal(isSettled({ ...record, wanted: 'pause' }, at('done')), true);
    assert.equal(isSettled({ ...record, wanted: 'delete' }, at('done')), false);
  });
});

describe('what the API takes', () => {
  it('fills in defaults', () => {
    const job = storeRequest.parse({ name: 'job-1', stream: 'jobs', subject: 'subjects-1', bucket: 'bucket-1' });
    assert.deepEqual(job.batch, { max_messages: 100_000, max_bytes: 8_388_608, max_age_ms: 10_000 });
    assert.deepEqual(
      [job.compression, job.format, job.start, job.until, job.prefix],
      [{ algorithm: 'zstd', level: 1 }, 'n3b', 'all', 'live', ''],
    );
    assert.equal(loadRequest.parse({ bucket: 'bucket-1', read_stream: 'jobs' }).read_subject, '>');
  });

  it('names every field that is wrong', () => {
    const { error } = storeRequest.safeParse({
      name: '-',
      stream: 'a.b',
      subject: '>.a',
      bucket: 'B',
      start: 0,
      batch: { max: 1 },
      x: 1,
    });
    const { fields } = badFields(error!);
    assert.deepEqual(
      new Set(fields.map(({ field }) => field)),
      new Set(['name', 'stream', 'subject', 'bucket', 'start', 'batch.max', 'x']),
    );
    assert.ok(Object.keys((openApi('1') as { paths: object }).paths).length > 10);
  });
});

describe('what the CLI shows', () => {
  it('has columns, colors on request, and sizes to three digits', () => {
    assert.equal(
      table(
        ['NAME', 'N'],
        [
          ['a', '1'],
          ['long-name', '1,000'],
        ],
      ),
      'NAME           N\na              1\nlong-name  1,000\n',
    );
    assert.equal(table(['NAME', 'N'], []), 'NAME  N\n');
    assert.equal(statusText('failed', false), 'failed');
    assert.match(statusText('failed', true), /\[31mfailed/);
    assert.deepEqual([size(0), size(512), size(8 * 2 ** 20), size(1.5 * 2 ** 30)], ['0 B', '512 B', '8.00 MB', '1.50 GB']);
    assert.equal(count(1_234_567), '1,234,567');
  });
});

describe('the settings of nats3', () => {
  it('are read from TOML, flags and the customary variables', async () => {
    const path = file(
      'c.toml',
      'nats-url = ["nats://a:1", "nats://b:1"]\nlog-level = "warn"\n[nats3]\nlisten = "127.0.0.1:1"\nuploads-max = 7\ns3-path-style = true\n',
    );
    const environment = { CONFIG: path, NATS3_LISTEN: ':2', AWS_REGION: 'eu-central-1', S3_ENDPOINT: 'http://s3:9000' };
    const invocation = await readInvocation(nats3Settings, ['--uploads-max', '3'], environment, '1');
    assert.equal(invocation.is, 'run');
    if (invocation.is !== 'run') return;
    const { values, origins } = invocation;
    assert.deepEqual(values.natsUrl, ['nats://a:1', 'nats://b:1']);
    assert.deepEqual(values.listen, { host: '0.0.0.0', port: 2 });
    assert.deepEqual(
      [values.s3Region, values.s3Endpoint, values.s3PathStyle, values.uploadsMax],
      ['eu-central-1', 'http://s3:9000', true, 3],
    );
    assert.deepEqual([origins.listen, origins.s3PathStyle], ['NATS3_LISTEN', path]);
  });

  it('are refused where they are wrong, without a word of what the file holds', async () => {
    for (const [content, code] of [
      ['token = "hunter2', 'CONFIG_FILE_INVALID'],
      ['[nats3]\ntokn = "x"', 'UNKNOWN_KEY'],
      ['[nats3]\nuploads-max = 0', 'SETTING_WRONG'],
    ] as const) {
      const reading = readInvocation(nats3Settings, ['--config', file('c.toml', content)], {}, '1');
      await assert.rejects(reading, (error: UsageError) => error.code === code && !error.message.includes('hunter2'));
    }
  });
});
