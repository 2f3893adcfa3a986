import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { blockKey, openBlock, timeOf, type BlockFormat, type Compression } from '../../src/archive/index.ts';
import { legibleMessage } from '../support/arbitrary-messages.ts';
import { messagesIn } from '../support/blocks.ts';
import { goldenMessages, goldenOrigin } from '../support/golden-messages.ts';

const directory = join(import.meta.dirname, '../golden/archive');
const blocks: [file: string, format: BlockFormat, compression: Compression][] = [
  ['v1-zstd.n3b', 'n3b', 'zstd'],
  ['v1-gzip.n3b', 'n3b', 'gzip'],
  ['v1-none.n3b', 'n3b', 'none'],
  ['v1.ndjson.zst', 'ndjson', 'zstd'],
  ['v1.ndjson.gz', 'ndjson', 'gzip'],
  ['v1.ndjson', 'ndjson', 'none'],
];
const [first, last] = [goldenMessages[0]!, goldenMessages.at(-1)!];

function keyOf(format: BlockFormat, compression: Compression): string {
  const sequences = { firstSequence: first.sequence, lastSequence: last.sequence };
  return blockKey({ ...goldenOrigin, ...sequences, prefix: '', format, compression, firstTimestamp: first.timestamp });
}

/** `decode.py` with a command that opens zstd, for a Python that cannot; undefined where there is no Python. */
function decodedByPython(file: string): unknown[] | undefined {
  const zstd = "process.stdout.write(require('node:zlib').zstdDecompressSync(require('node:fs').readFileSync(0)))";
  const args = [join(directory, 'decode.py'), join(directory, file), process.execPath, '-e', zstd];
  const run = spawnSync('python3', args, { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (run.error !== undefined && 'code' in run.error && run.error.code === 'ENOENT') return undefined;
  assert.equal(run.status, 0, run.stderr);
  return run.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

describe('blocks of version 1', () => {
  for (const [file, format, compression] of blocks) {
    test(`${file} holds what it held when it was written`, async () => {
      const key = keyOf(format, compression);
      const body = readFileSync(join(directory, file));
      const { header } = await openBlock(key, body);
      const { stream, streamCreated, job, after } = goldenOrigin;
      assert.deepEqual([header.stream, header.streamCreated, header.messages], [stream, streamCreated, goldenMessages.length]);
      assert.deepEqual([header.job, header.after], [job, format === 'n3b' ? after : undefined]);
      assert.deepEqual((await messagesIn(key, body)).map(legibleMessage), goldenMessages.map(legibleMessage));
    });

    if (format === 'n3b') {
      test(`${file} is read by another language as the format's page says`, (context) => {
        const decoded = decodedByPython(file);
        if (decoded === undefined) {
          context.skip('there is no python3');
          return;
        }
        const expected = goldenMessages.map((one) => ({
          sequence: one.sequence,
          time_ns: String(timeOf(one)),
          subject: one.subject,
          headers: base64(one.headers),
          payload: base64(one.payload),
        }));
        assert.deepEqual(decoded, expected);
      });
    }
  }

  test('are lines of JSON in the other format', () => {
    const lines = readFileSync(join(directory, 'v1.ndjson'), 'utf8').trimEnd().split('\n');
    const [message, ...more] = lines.map((line) => JSON.parse(line) as object);
    assert.deepEqual(message, {
      stream: 'ORDERS',
      stream_created: '2025-11-20T08:00:00.123456789Z',
      sequence: 3,
      time: '2025-11-21T09:59:59.999999999Z',
      subject: 'orders.new',
      payload: '{"id":1,"price":1.0}',
    });
    assert.equal(more.length, goldenMessages.length - 1);
  });
});

describe('blocks that a later program has written', () => {
  const key = keyOf('n3b', 'zstd');
  const body = readFileSync(join(directory, 'v1-zstd.n3b'));
  const headerBytes = body.readUInt32LE(12);

  test('are refused by their version', async () => {
    const newer = Buffer.from(body);
    newer.writeUInt16LE(2, 8);
    newer.writeUInt32LE(crc32(newer.subarray(0, 16 + headerBytes)), 16 + headerBytes);
    await assert.rejects(openBlock(key, newer), { code: 'ARCHIVE_NEWER', transient: false });
  });

  test('are refused by a compression that is not known', async () => {
    const newer = Buffer.from(body);
    newer.write('zst9', newer.indexOf('"zstd"') + 1);
    newer.writeUInt32LE(crc32(newer.subarray(0, 16 + headerBytes)), 16 + headerBytes);
    await assert.rejects(openBlock(key, newer), { code: 'ARCHIVE_NEWER' });
  });
});
